import { isDeepStrictEqual } from "node:util";
import type { Capture } from "../test/support/capture.ts";
import type { Lab } from "../test/support/lab.ts";
import type { PingResult } from "../test/support/ping.ts";
import { repository } from "../test/support/repository.ts";
import type { Site } from "../test/support/site.ts";
import type { SiteProcess } from "../test/support/site-process.ts";
import { type Association, readAssociations } from "./association.ts";
import type { Inhabitants } from "./inhabitants.ts";
import type { Page } from "./page.ts";
import { classifyPackets, shortened } from "./wire.ts";

export type Gateways = { readonly moon: SiteProcess; readonly sun: SiteProcess };

/** Without a gateway everything can be read, which shows that the witness sees. Returns the sites as they were. */
export const pingInClear = async (page: Page, lab: Lab): Promise<SitesState> => {
  page.step("Before: a ping from net to net, and tcpdump as witness between the sites");
  const witness = await lab.captureWire("ip");
  requireAnswers("moon", lab.sun.host, await lab.moon.ping(lab.sun.host, { count: 1 }), 1);
  const { clear } = classifyPackets(await witness.stop());
  demand(clear.length === 2, `the witness saw ${clear.length} packets in clear instead of 2`);
  page.quote(...clear.map(shortened));
  page.seen("in clear: the witness reads who talks to whom, and what");
  return observeSites(lab);
};

export const startGateways = async (
  page: Page,
  lab: Lab,
  started: (gateway: SiteProcess) => void,
): Promise<Gateways> => {
  page.step("A gateway at each site");
  const start = async (site: Site) => {
    page.command(`ENVFILE=demo/${site.name}.env vnf-ipsec run`);
    const gateway = site.gateway({
      ENVFILE: `${repository}/demo/${site.name}.env`,
      IPSEC_DATAPLANE: "auto",
    });
    started(gateway);
    await gateway.waitForRecord(({ event }) => event === "ready");
    return gateway;
  };
  // sun only answers: it has to be there when moon calls.
  const sun = await start(lab.sun);
  const moon = await start(lab.moon);
  page.seen("both are ready: charon answers and holds its connection");
  const { message, reason } = await moon.waitForRecord(({ event }) => event === "dataplane");
  page.seen(`data plane: ${message}${reason === undefined ? "" : ` (${reason})`}`);
  return { moon, sun };
};

export const awaitTunnel = async (page: Page, { moon, sun }: Gateways): Promise<void> => {
  page.step("The tunnel");
  const established = /CHILD_SA \S+ established with SPIs \S+ \S+ and TS ([^"\\]+)/;
  const up = Promise.all([moon.waitForOutput(established), sun.waitForOutput(established)]);
  const [[, networks]] = await up.catch(() => {
    const diagnoses = [moon, sun].flatMap((gateway) =>
      gateway.records().flatMap(({ event, message }) => (event === "diagnosis" ? [message] : [])),
    );
    throw new Error(["it does not come up", ...new Set(diagnoses)].join("; "));
  });
  page.seen(`up, say the charons of both ends: ${networks}`);
};

export const pingThroughTunnel = async (page: Page, lab: Lab, witness: Capture): Promise<void> => {
  page.step("After: the same ping, both ways, and the same witness");
  const count = 3;
  for (const [from, to] of [
    [lab.moon, lab.sun],
    [lab.sun, lab.moon],
  ] as const) {
    const result = await from.ping(to.host, { count });
    requireAnswers(from.name, to.host, result, count);
    page.seen(
      `${from.name} ${from.host} pings ${to.name} ${to.host}: ${result.received} of ${count} answered`,
    );
  }
  const { ike, esp, clear } = classifyPackets(await witness.stop());
  // A request and an answer for each ping, either way.
  const wanted = 2 * 2 * count;
  demand(clear.length === 0, `these left a site in clear: ${clear.join("; ")}`);
  demand(esp.length === wanted, `the witness saw ${esp.length} packets of ESP instead of ${wanted}`);
  demand(ike.length > 0, "the witness saw no IKE");
  page.quote(...esp.toSorted().slice(0, 4).map(shortened), "...");
  page.seen(
    `${ike.length} packets of IKE, ${esp.length} of ESP in UDP, 0 others; no inner address to be seen`,
  );
};

export const showAssociations = async (page: Page, lab: Lab): Promise<void> => {
  page.step("The security associations, as each charon tells them over vici");
  const read = async (site: Site) => {
    const [association, ...others] = await readAssociations(site.fromOutside("/run/charon.vici"));
    demand(association !== undefined && others.length === 0, `${site.name} has not exactly one CHILD SA`);
    return association as Association;
  };
  const [moon, sun] = await Promise.all([read(lab.moon), read(lab.sun)]);
  const row = (name: string, cell: (association: Association) => string) => [name, cell(moon), cell(sun)];
  page.table([
    ["", "moon", "sun"],
    row("identity", ({ identity }) => identity),
    row("endpoint", ({ endpoint }) => endpoint),
    row("network", ({ networks }) => networks),
    row("IKE SA", ({ ike }) => ike),
    row("", ({ ikeCipher }) => ikeCipher),
    row("CHILD SA", ({ child }) => child),
    row("", ({ espCipher }) => espCipher),
    row("SPI in / out", ({ spiIn, spiOut }) => `${spiIn} / ${spiOut}`),
    row("packets in / out", ({ packetsIn, packetsOut }) => `${packetsIn} / ${packetsOut}`),
  ]);
  demand(moon.spiIn === sun.spiOut && moon.spiOut === sun.spiIn, "the SPIs of the two ends do not match");
  demand(moon.packetsOut > 0 && sun.packetsOut > 0, "an end has sent no packet through its CHILD SA");
  page.seen("what goes out of one end comes in at the other");
};

/** Fails unless each gateway leaves its site as `before`. */
export const stopGateways = async (
  page: Page,
  lab: Lab,
  { before, ...gateways }: Gateways & { readonly before: SitesState },
  inhabitants: Inhabitants,
): Promise<void> => {
  page.step("The end: SIGTERM to both");
  const startMs = performance.now();
  for (const gateway of [gateways.moon, gateways.sun]) {
    gateway.signal("SIGTERM");
  }
  const exits = await Promise.all([gateways.moon.exited, gateways.sun.exited]);
  const milliseconds = Math.round(performance.now() - startMs);
  for (const { exitCode, signal } of exits) {
    demand(exitCode === 0, `a gateway ended with ${signal ?? exitCode} instead of 0`);
  }
  page.seen(`both ended with 0 within ${milliseconds} ms`);
  const keepers = new Set([lab.moon.pid, lab.sun.pid].map(String));
  const left = inhabitants.list().filter((process) => !keepers.has(process.split(" ")[0] ?? ""));
  demand(left.length === 0, `processes are left: ${left.join(", ")}`);
  const after = await observeSites(lab);
  for (const site of ["moon", "sun"] as const) {
    demand(
      isDeepStrictEqual(after[site], before[site]),
      `${site} is not as it was: ${difference(before[site], after[site])}`,
    );
  }
  page.seen("no charon, tun device, route, policy or file of theirs is left");
};

/** All that a gateway may change in its site. */
type SitesState = { readonly moon: unknown; readonly sun: unknown };

const observeSites = async (lab: Lab): Promise<SitesState> => {
  const observe = async (site: Site) => ({
    network: await site.snapshot(),
    files: (
      await site.run(["bash", "-c", "find /etc /run ! -type d -print0 | xargs -0 stat -c '%n %F %s %a'"])
    )
      .split("\n")
      .sort(),
  });
  const [moon, sun] = await Promise.all([observe(lab.moon), observe(lab.sun)]);
  return { moon, sun };
};

const difference = (before: unknown, after: unknown): string => {
  const lines = (state: unknown) => JSON.stringify(state, null, 1).split(/,?\n/);
  const known = new Set(lines(before));
  return lines(after)
    .filter((line) => !known.has(line))
    .map((line) => line.trim())
    .join(" ");
};

const requireAnswers = (site: string, host: string, { received }: PingResult, wanted: number): void =>
  demand(received === wanted, `${site} pinged ${host} ${wanted} times and got ${received} answers`);

function demand(condition: boolean, fault: string): asserts condition {
  if (!condition) {
    throw new Error(fault);
  }
}
