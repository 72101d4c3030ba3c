import { readdirSync, readFileSync } from "node:fs";

/** A process beyond the reuse of its number: proc(5) tells when it started, and the boot in which that counts. */
export type ProcessIdentity = { readonly pid: number; readonly startTicks: string; readonly bootId: string };

/** Undefined for a process that is gone, or a zombie. */
export const identify = (pid: number | "self"): ProcessIdentity | undefined => {
  const stat = readStat(`${pid}`);
  return stat === undefined ? undefined : { pid: stat.pid, startTicks: stat.startTicks, bootId: bootId() };
};

export const isAlive = ({ pid, startTicks, bootId: boot }: ProcessIdentity): boolean =>
  boot === bootId() && readStat(`${pid}`)?.startTicks === startTicks;

export const childrenOf = (pid: number): readonly ProcessIdentity[] =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && readStat(name)?.parent === `${pid}`)
    .map((name) => identify(Number(name)))
    .filter((child) => child !== undefined);

const bootId = (): string => readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();

/** The name in parentheses may hold anything, so the fields are counted from its end; the first after it is the state. */
const readStat = (
  pid: string,
): { readonly pid: number; readonly parent: string; readonly startTicks: string } | undefined => {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    const [state = "", parent = ""] = fields;
    return /[ZX]/.test(state) && !hasOtherThreads(pid)
      ? undefined
      : { pid: Number.parseInt(text, 10), parent, startTicks: fields[19] ?? "" };
  } catch {
    return undefined;
  }
};

/** A process that is killed is a zombie before the last of its threads has let go of its sockets. */
const hasOtherThreads = (pid: string): boolean => readdirSync(`/proc/${pid}/task`).length > 1;
