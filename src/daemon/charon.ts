import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { exitCodes, Failure } from "../failure.ts";
import { connectVici, type ViciClient } from "../vici/client.ts";
import { daemonCommand } from "./daemon-command.ts";
import { type KillProcess, killDaemon, untilGone } from "./end-processes.ts";
import { runPaths } from "./paths.ts";
import { identify, type ProcessIdentity } from "./process-identity.ts";
import { removeStaleFiles, runningDaemon } from "./stale.ts";
import { boundUdpPorts, ikePorts } from "./udp-ports.ts";

/** A running charon, and the starter that loads ipsec.conf(5) into it. */
export type Charon = {
  readonly vici: ViciClient;
  readonly pid: number;
  /** Settles with what is known of it when starter has ended or charon no longer answers. Never rejects. */
  readonly ended: Promise<string>;
  /** Has starter read ipsec.conf again and load what differs. */
  readonly update: () => void;
  /** Ends starter alone, so that nothing more is loaded or initiated. */
  readonly endStarter: () => void;
  /** Asks charon to end. */
  readonly terminate: () => void;
  /** Whether both are gone within the limit. */
  readonly gone: (limitMilliseconds: number) => Promise<boolean>;
  /** Ends both at once, and settles when they are gone. */
  readonly kill: () => Promise<void>;
};

export type StartOptions = {
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
 * Starts charon by `ipsec start --nofork`, which becomes starter: it starts charon, loads the connections and
 * stays. Resolves when charon answers over vici and has its ports; once a stop is asked for, as soon as it answers.
 * starter would restart a dead charon only after five seconds, and ends with 0 when charon cannot initialise
 * (starter.c), so both processes are watched here and always replaced together.
 */
export const startCharon = async (options: StartOptions): Promise<Charon | StartFailure> => {
  removeStaleFiles();
  const [program, ...words] = daemonCommand;
  // Not execa: its result waits for the pipes, which charon keeps open when starter ends alone.
  const starter = spawn(program, words, { env: options.environment, stdio: ["ignore", "pipe", "pipe"] });
  for (const input of [starter.stdout, starter.stderr]) createInterface({ input }).on("line", options.onLine);
  let end: string | undefined;
  const starterEnded = new Promise<string>((resolve) => {
    const settle = (words: string): void => {
      end ??= words;
      resolve(end);
    };
    starter.once("error", ({ message }) => settle(`ipsec could not be started: ${message}`));
    starter.once("exit", (exitCode, signal) => settle(describeEnd(exitCode, signal)));
  });
  const processes: ProcessIdentity[] = [];
  const remember = (pid: number | undefined): void => {
    const process = pid === undefined ? undefined : identify(pid);
    if (process === undefined || processes.some((known) => known.pid === process.pid)) return;
    processes.push(process);
    options.record(processes);
  };
  remember(starter.pid);
  const kill = async (): Promise<void> => {
    remember(runningDaemon());
    await killDaemon(processes, options.killProcess);
  };
  const { vici, pid } = await whenReady(options, () => end !== undefined);
  remember(pid);
  if (vici === undefined || pid === undefined) {
    if (options.isStopping()) {
      starter.kill("SIGTERM");
      await untilGone(processes, startingLimitMilliseconds);
    }
    await kill();
    return { failed: end ?? "charon did not start" };
  }
  return {
    vici,
    pid,
    ended: Promise.race([
      starterEnded,
      vici.closed.then((reason) => reason?.message ?? "the control connection was closed"),
    ]),
    update: () => starter.kill("SIGHUP"),
    endStarter: () => starter.kill("SIGKILL"),
    terminate: () => options.killProcess(pid, "SIGTERM"),
    gone: (limitMilliseconds) => untilGone(processes, limitMilliseconds),
    kill,
  };
};

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

const describeEnd = (exitCode: number | null, signal: NodeJS.Signals | null): string =>
  signal === null ? `starter ended with exit code ${exitCode}` : `starter was ended by ${signal}`;
