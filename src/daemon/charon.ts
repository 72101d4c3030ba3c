import { spawn } from "node:child_process";
import { delimiter } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import type { Backend } from "../backend/backend.ts";
import { exitCodes, Failure } from "../failure.ts";
import { daemonDirectories } from "../host/require-programs.ts";
import { connectVici, type ViciClient } from "../vici/client.ts";
import { type KillProcess, killDaemon, untilGone } from "./end-processes.ts";
import { runPaths } from "./paths.ts";
import { identify, type ProcessIdentity } from "./process-identity.ts";
import { removeStaleFiles, runningDaemon } from "./stale.ts";
import { boundUdpPorts, ikePorts } from "./udp-ports.ts";

/** A running charon, and with some backends a starter that loads files into it. */
export type Charon = {
  readonly vici: ViciClient;
  readonly pid: number;
  /** Settles with what is known of it when either has ended or charon no longer answers. Never rejects. */
  readonly ended: Promise<string>;
  /** Has starter read its files again and load what differs. */
  readonly update: () => void;
  /** Ends starter, if there is one, so that nothing more is loaded or initiated. */
  readonly endStarter: () => void;
  /** Asks charon to end. */
  readonly terminate: () => void;
  /** Whether both are gone within the limit. */
  readonly gone: (limitMilliseconds: number) => Promise<boolean>;
  /** Ends both at once, and settles when they are gone. */
  readonly kill: () => Promise<void>;
};

export type StartOptions = {
  readonly daemon: Backend["daemon"];
  readonly environment: Record<string, string>;
  readonly onLine: (line: string) => void;
  /** Whether UDP 500 and 4500 must be bound before charon counts as started; a mounted charon.conf may move them. */
  readonly expectPorts: boolean;
  readonly isStopping: () => boolean;
  readonly killProcess: KillProcess;
  /** Told of every process that must not outlive this one. */
  readonly record: (processes: readonly ProcessIdentity[]) => void;
};

/** charon did not come up; the message says what is known. */
export type StartFailure = { readonly failed: string };

/**
 * Starts charon. Resolves when charon answers over vici and has its ports; once a stop is asked for, as soon as it
 * answers. starter would restart a dead charon only after five seconds, and ends with 0 when charon cannot initialise
 * (starter.c), so it and charon are both watched here and always replaced together.
 */
export const startCharon = async (options: StartOptions): Promise<Charon | StartFailure> => {
  removeStaleFiles();
  const { command, loadsFiles } = options.daemon;
  const [program, ...words] = command;
  // Not execa: its result waits for the pipes, which charon keeps open when starter ends alone.
  const started = spawn(program, words, {
    env: withDaemonDirectories(options.environment),
    stdio: ["ignore", "pipe", "pipe"],
    // In a session of its own, so that a Ctrl-C is for the supervisor alone, which lets charon say goodbye first.
    detached: true,
  });
  for (const input of [started.stdout, started.stderr]) createInterface({ input }).on("line", options.onLine);
  let end: string | undefined;
  const commandEnded = new Promise<string>((resolve) => {
    const settle = (words: string): void => {
      end ??= words;
      resolve(end);
    };
    started.once("error", ({ message }) => settle(`${program} could not be started: ${message}`));
    started.once("exit", (exitCode, signal) =>
      settle(describeEnd(loadsFiles ? "starter" : program, exitCode, signal)),
    );
  });
  const processes: ProcessIdentity[] = [];
  const remember = (pid: number | undefined): void => {
    const process = pid === undefined ? undefined : identify(pid);
    if (process === undefined || processes.some((known) => known.pid === process.pid)) return;
    processes.push(process);
    options.record(processes);
  };
  remember(started.pid);
  const kill = async (): Promise<void> => {
    remember(runningDaemon());
    await killDaemon(processes, options.killProcess);
  };
  const { vici, pid } = await whenReady(options, () => end !== undefined);
  remember(pid);
  if (vici === undefined || pid === undefined) {
    if (options.isStopping()) {
      started.kill("SIGTERM");
      await untilGone(processes, startingLimitMilliseconds);
    }
    await kill();
    return { failed: end ?? "charon did not start" };
  }
  return {
    vici,
    pid,
    ended: Promise.race([
      commandEnded,
      vici.closed.then((reason) => reason?.message ?? "the control connection was closed"),
    ]),
    update: () => {
      if (loadsFiles) started.kill("SIGHUP");
    },
    endStarter: () => {
      if (loadsFiles) started.kill("SIGKILL");
    },
    terminate: () => options.killProcess(pid, "SIGTERM"),
    gone: (limitMilliseconds) => untilGone(processes, limitMilliseconds),
    kill,
  };
};

/** charon is not on the search path where strongSwan is installed: Debian has it below /usr/lib/ipsec, Alpine below strongswan. */
const withDaemonDirectories = (environment: Record<string, string>): Record<string, string> => ({
  ...environment,
  PATH: [environment["PATH"] ?? "", ...daemonDirectories].join(delimiter),
});

/** starter itself gives charon ten seconds. */
const startLimitMilliseconds = 10_000;
const pollMilliseconds = 5;

/** How long a charon that is just starting may take to answer once a stop is asked for, and then to end. */
const startingLimitMilliseconds = 1_500;

const whenReady = async (
  { expectPorts, isStopping }: StartOptions,
  hasEnded: () => boolean,
): Promise<{ readonly vici?: ViciClient; readonly pid?: number }> => {
  let deadline = performance.now() + startLimitMilliseconds;
  let vici: ViciClient | undefined;
  let stopping = false;
  while (!hasEnded() && performance.now() < deadline) {
    if (isStopping() && !stopping) {
      stopping = true;
      deadline = Math.min(deadline, performance.now() + startingLimitMilliseconds);
    }
    vici ??= await connectAnswering();
    const pid = runningDaemon();
    // starter may load and initiate as soon as charon is there, so a stop follows the same rules as later.
    if (vici !== undefined && pid !== undefined && (!expectPorts || portsAreBound() || stopping))
      return { vici, pid };
    await sleep(pollMilliseconds);
  }
  vici?.close();
  return {};
};

/**
 * A socket that accepts proves nothing: a stopped charon's does, until its queue is full.
 * charon answers everything that is asked here at once, so one that takes seconds hangs and is replaced.
 */
const connectAnswering = async (): Promise<ViciClient | undefined> => {
  try {
    const vici = await connectVici(runPaths.vici, { unref: true, timeoutMs: answerLimitMilliseconds });
    await vici.request("version", {}, { timeoutMs: firstAnswerLimitMilliseconds });
    return vici;
  } catch {
    return undefined;
  }
};

const answerLimitMilliseconds = 5_000;
const firstAnswerLimitMilliseconds = 1_000;

const portsAreBound = (): boolean => {
  const bound = boundUdpPorts();
  return ikePorts.every((port) => bound.has(port));
};

/** Throws when somebody else has the ports of IKE; charon would go on without them. */
export const requireFreePorts = (): void => {
  const bound = boundUdpPorts();
  const taken = ikePorts.filter((port) => bound.has(port));
  if (taken.length === 0) return;
  throw new Failure(
    [
      {
        message: `UDP port ${taken.join(" and ")} is in use in this network namespace`,
        hint: "stop the other IKE daemon; ss -lunp shows it",
      },
    ],
    exitCodes.unavailable,
  );
};

const describeEnd = (program: string, exitCode: number | null, signal: NodeJS.Signals | null): string =>
  signal === null ? `${program} ended with exit code ${exitCode}` : `${program} was ended by ${signal}`;
