import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import type { Namespace } from "./namespace.ts";
import type { SiteProcess } from "./site-process.ts";

/** The files and sockets that a gateway could have to do with: `checksum  path` and `mode owner  path`. */
export const filesOf = async (namespace: Namespace): Promise<readonly string[]> => {
  const places =
    "/etc/ipsec.conf /etc/ipsec.secrets /etc/ipsec.config.d /etc/ipsec.secrets.d /etc/strongswan.d /run";
  const script = `find ${places} -type f -exec sha256sum {} + ; find ${places} ! -type d -printf '%M %u  %p\\n'`;
  const { stdout } = await namespace.exec(["bash", "-c", script]);
  return stdout.split("\n").filter(Boolean).sort();
};

/** Process ids by program of what runs in the network namespace of a site; stopped processes included, zombies not. */
export const processesIn = (namespace: Namespace, program: string): readonly number[] => {
  const network = readlinkSync(`/proc/${namespace.pid}/ns/net`);
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const status = readFileSync(`/proc/${pid}/status`, "utf8");
        if (!status.startsWith(`Name:\t${program}\n`) || /^State:\tZ/m.test(status)) return false;
        return readlinkSync(`/proc/${pid}/ns/net`) === network;
      } catch {
        return false;
      }
    });
};

/** The pid of the charon that the gateway started last. */
export const charonOf = (gateway: SiteProcess): number => {
  const record = gateway.records().findLast(({ event }) => event === "charon-started");
  if (typeof record?.pid !== "number") throw new Error("the gateway has started no charon");
  return record.pid;
};

/** The value below which that part of the values lies, 0 to 1. */
export const quantile = (values: readonly number[], part: number): number =>
  [...values].sort((one, other) => one - other)[
    Math.min(values.length - 1, Math.floor(values.length * part))
  ] ?? Number.NaN;
