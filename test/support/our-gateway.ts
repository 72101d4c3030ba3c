import { backendUnderTest } from "./backend-under-test.ts";
import type { Site } from "./site.ts";
import type { Environment, LogRecord, SiteProcess } from "./site-process.ts";

/** Long enough that no warning of its own goes with it. */
export const tunnelPsk = "a pre-shared key of more than twenty bytes";

/** What an operator sets at `own` for a tunnel of all networks to `opposite`; an empty value in `changes` unsets. */
export const tunnelEnvironment = (own: Site, opposite: Site, changes: Environment = {}): Environment => ({
  IPSEC_LOCALIP: own.address,
  IPSEC_REMOTEIP: opposite.address,
  IPSEC_LOCALNET: own.networks.join(","),
  IPSEC_REMOTENET: opposite.networks.join(","),
  IPSEC_PSK: tunnelPsk,
  ...backendUnderTest,
  ...changes,
});

/** Resolves when its connections are loaded; a tunnel need not be up yet. */
export const isReady = (gateway: SiteProcess, from = 0): Promise<LogRecord> =>
  gateway.waitForRecord((record) => record.event === "ready", { from });

/** Resolves when so many CHILD SAs have come up, those of IKEv1 being one for each pair of networks. */
export const hasTunnels = async (gateway: SiteProcess, count = 1): Promise<void> => {
  for (let from = 0, seen = 0; seen < count; seen += 1) {
    const record = await gateway.waitForRecord(saysTunnel, { from });
    from = gateway.records().indexOf(record) + 1;
  }
};

const saysTunnel = ({ message }: LogRecord): boolean =>
  /^CHILD_SA \S+ established with SPIs/.test(`${message}`);

/** Has it read everything again; fails when it refuses what it reads. */
export const reload = async (gateway: SiteProcess): Promise<void> => {
  const from = gateway.records().length;
  gateway.signal("SIGHUP");
  const { event } = await gateway.waitForRecord((record) => /^reload/.test(`${record.event}`), { from });
  if (event !== "reloaded")
    throw new Error(`reload refused: ${JSON.stringify(gateway.records().slice(from))}`);
};

/** What it found wrong. */
export const diagnoses = (gateway: SiteProcess, from = 0): readonly LogRecord[] =>
  gateway
    .records()
    .slice(from)
    .filter((record) => record.event === "diagnosis");

/** Asks it to stop, and resolves with its exit code. */
export const stop = async (gateway: SiteProcess): Promise<number | null> => {
  gateway.signal("SIGTERM");
  return (await gateway.exited).exitCode;
};
