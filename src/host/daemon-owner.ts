import { readFileSync } from "node:fs";
import type { Owner } from "./write-files.ts";

/**
 * The user that charon becomes: `ipsec` where the distribution made one (Alpine), root elsewhere (Debian).
 * As that user charon reads its secrets again at a reload, which a file of root's would refuse.
 */
export const daemonOwner = (): Owner | undefined => ownerIn(readFileSync("/etc/passwd", "utf8"));

/** Looks the user up in the text of passwd(5). */
export const ownerIn = (passwd: string): Owner | undefined => {
  const [, uid, gid] = /^ipsec:[^:]*:(\d+):(\d+):/m.exec(passwd) ?? [];
  return uid === undefined || gid === undefined ? undefined : { uid: Number(uid), gid: Number(gid) };
};
