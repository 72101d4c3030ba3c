import { readFileSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { exitCodes, Failure } from "../failure.ts";
import { runPaths } from "./paths.ts";

/**
 * Removes the pid files and sockets of a dead predecessor. starter would take a pid file whose number some other
 * process has meanwhile for a running charon and load nothing; a dead socket accepts nobody.
 * A charon that really runs and answers is somebody else's: then it throws.
 */
export const removeStaleFiles = async (): Promise<void> => {
  const pid = runningDaemon();
  if (pid !== undefined && (await answers(runPaths.vici))) {
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

/** The process of the pid file, if it is one and really is charon. */
export const runningDaemon = (): number | undefined => {
  const pid = Number(readIfPresent(runPaths.charonPid)?.trim());
  if (!Number.isInteger(pid) || pid <= 1) return undefined;
  return readIfPresent(`/proc/${pid}/comm`)?.trim() === "charon" ? pid : undefined;
};

const readIfPresent = (path: string): string | undefined => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
};

const answers = (path: string): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(path);
    const settle = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.once("connect", () => settle(true));
    socket.once("error", () => settle(false));
  });
