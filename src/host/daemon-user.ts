import { readFileSync } from "node:fs";
import { type ConfigFile, marker } from "../backend/config-file.ts";
import type { Owner } from "./write-files.ts";

/** As whom charon runs. */
export type DaemonUser = {
  /** The owner of what charon reads again later; absent when it stays root. */
  readonly owner?: Owner;
  /** What tells charon so, where it would do otherwise. */
  readonly files: readonly ConfigFile[];
};

export const daemonUser = (): DaemonUser =>
  daemonUserIn(readFileSync("/etc/passwd", "utf8"), readFileSync("/proc/self/status", "utf8"));

/**
 * A distribution may have charon become the user `ipsec` (Alpine does, Debian does not). As that user it reads its secrets
 * again at a reload, which a file of root's would refuse. Where a capability is missing that this takes, charon stays root,
 * without any capability that it does not need.
 * Takes the texts of passwd(5) and of /proc/self/status (proc(5)).
 */
export const daemonUserIn = (passwd: string, status: string): DaemonUser => {
  const [, uid, gid] = /^ipsec:[^:]*:(\d+):(\d+):/m.exec(passwd) ?? [];
  if (uid === undefined || gid === undefined) return { files: [] };
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? "0"}`);
  return (effective & becomingAnother) === becomingAnother
    ? { owner: { uid: Number(uid), gid: Number(gid) }, files: [] }
    : { files: [stayRoot] };
};

/**
 * CHOWN, DAC_OVERRIDE, KILL, SETGID, SETUID and SETPCAP of capabilities(7): to give files away, to use the sockets of another
 * user, to end its processes; to become that user, and to keep capabilities across it (strongSwan,
 * src/libstrongswan/utils/capabilities.c).
 */
const becomingAnother = [0n, 1n, 5n, 6n, 7n, 8n].reduce((bits, bit) => bits | (1n << bit), 0n);

const stayRoot: ConfigFile = {
  path: "/etc/strongswan.d/charon-user.conf",
  mode: 0o644,
  ownedByDaemon: false,
  text: `${marker}\n# To run as another user charon would need more capabilities.\ncharon {\n\tuser = root\n\tgroup = root\n}\n`,
};
