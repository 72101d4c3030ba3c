import { readFileSync, readlinkSync, rmSync } from "node:fs";
import { exitCodes, Failure } from "../failure.ts";
import { runPaths } from "./paths.ts";

/**
 * Removes the pid files and sockets of a dead predecessor. starter would take a pid file whose number some other
 * process has meanwhile for a running charon and load nothing; a dead socket accepts nobody.
 * A charon that really runs here is somebody else's: then it throws.
 */
export const removeStaleFiles = (): void => {
  const pid = runningDaemon();
  if (pid !== undefined) {
    throw new Failure(
      [
        {
          message: `another charon runs here already (process ${pid})`,
          hint: "stop it first; two IKE daemons cannot share UDP ports 500 and 4500",
        },
      ],
      exitCodes.unavailable,
    );
  }
  for (const path of Object.values(runPaths)) rmSync(path, { force: true });
};

/** The process of the pid file, if it lives, really is charon, and in this network namespace. */
export const runningDaemon = (): number | undefined => {
  const pid = Number(readIfPresent(runPaths.charonPid)?.trim());
  if (!Number.isInteger(pid) || pid <= 1) return undefined;
  const status = readIfPresent(`/proc/${pid}/status`) ?? "";
  const isCharon = /^Name:\tcharon$/m.test(status) && !/^State:\t[ZX]/m.test(status);
  return isCharon && sharesNetwork(pid) ? pid : undefined;
};

/** With the host's processes in view a reused number may be the charon of another container, which is no rival. */
const sharesNetwork = (pid: number): boolean => {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`) === readlinkSync("/proc/self/ns/net");
  } catch {
    // Without the right to look (CAP_SYS_PTRACE, for a charon of another user) it counts as one here.
    return true;
  }
};

const readIfPresent = (path: string): string | undefined => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
};
