import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { exitCodes, Failure } from "../failure.ts";
import type { Log } from "../observe/log.ts";
import { type KillProcess, killDaemon, untilGone } from "./end-processes.ts";
import { identify, isAlive, type ProcessIdentity } from "./process-identity.ts";

/** That this gateway is the one that runs here, kept in a file, with the processes that must not outlive it. */
export type Claim = {
  /** Replaces the processes that the next start ends should this one be killed. */
  readonly record: (processes: readonly ProcessIdentity[]) => void;
  readonly release: () => void;
};

export type Claimed = {
  readonly claim: Claim;
  /** Whether a predecessor did not end by itself, so that it may have left something in the kernel. */
  readonly hadPredecessor: boolean;
};

type ClaimRecord = { readonly supervisor: ProcessIdentity; readonly processes: readonly ProcessIdentity[] };

/**
 * Makes this process the gateway that runs here. Throws when another lives. Of one that was killed, starter and
 * charon go on without anybody; they are known by what it recorded and are ended, as a charon of others never is.
 */
export const claimHost = async (path: string, killProcess: KillProcess, log: Log): Promise<Claimed> => {
  const supervisor = identify("self");
  if (supervisor === undefined) throw new Error("this process is not in /proc");
  const temporary = `${path}.${supervisor.pid}`;
  const write = (processes: readonly ProcessIdentity[]): void => {
    try {
      mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
      writeFileSync(temporary, JSON.stringify({ supervisor, processes } satisfies ClaimRecord), {
        mode: 0o600,
      });
    } catch (error) {
      rmSync(temporary, { force: true });
      throw unwritable(path, error as NodeJS.ErrnoException);
    }
  };

  write([]);
  const predecessor = place(temporary, path);
  if (predecessor !== undefined) {
    if (isAlive(predecessor.supervisor)) {
      rmSync(temporary, { force: true });
      throw occupied(predecessor.supervisor.pid);
    }
    await endOrphans(predecessor.processes, killProcess, log);
    renameSync(temporary, path);
  }
  return {
    hadPredecessor: predecessor !== undefined,
    claim: {
      record: (processes) => {
        try {
          write(processes);
          renameSync(temporary, path);
        } catch (error) {
          // A full disk must not end a tunnel; only after a crash would the record be missed.
          log.warn(
            { event: "claim-unwritten", reason: (error as Error).message },
            "could not record the processes",
          );
        }
      },
      release: () => rmSync(path, { force: true }),
    },
  };
};

/** link(2) refuses where there is a file already, so of two that start at once one succeeds. */
const place = (temporary: string, path: string): ClaimRecord | undefined => {
  try {
    linkSync(temporary, path);
    rmSync(temporary);
    return undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST")
      throw unwritable(path, error as NodeJS.ErrnoException);
  }
  try {
    return JSON.parse(readFileSync(path, "utf8")) as ClaimRecord;
  } catch {
    // A record that a power cut left half-written names nobody who could still run.
    return { supervisor: { pid: 0, startTicks: "", bootId: "" }, processes: [] };
  }
};

/** Asked first, charon says goodbye to its peers and takes its routes and policies out of the kernel. */
const endOrphans = async (
  processes: readonly ProcessIdentity[],
  killProcess: KillProcess,
  log: Log,
): Promise<void> => {
  const orphans = processes.filter(isAlive);
  if (orphans.length === 0) return;
  log.warn(
    { event: "orphans-ended", pids: orphans.map(({ pid }) => pid) },
    "a predecessor was killed and left its charon running, which is ended now",
  );
  for (const { pid } of orphans) killProcess(pid, "SIGTERM");
  if (!(await untilGone(orphans, orphanLimitMilliseconds))) await killDaemon(orphans, killProcess);
};

const orphanLimitMilliseconds = 2_000;

const occupied = (pid: number): Failure =>
  new Failure(
    [
      {
        message: `another vnf-ipsec runs here already (process ${pid})`,
        hint: "stop it first; two IKE daemons cannot share UDP ports 500 and 4500",
      },
    ],
    exitCodes.unavailable,
  );

const unwritable = (path: string, error: NodeJS.ErrnoException): Failure =>
  new Failure(
    [
      {
        message: `${path} cannot be written: ${error.code}`,
        hint: "run as root, with a writable /run, for example a tmpfs",
      },
    ],
    error.code === "EACCES" || error.code === "EPERM" ? exitCodes.permission : exitCodes.inputOutput,
    { cause: error },
  );
