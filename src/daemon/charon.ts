import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { exitCodes, Failure } from "../failure.ts";
import { connectVici, type ViciClient } from "../vici/client.ts";
import { daemonCommand } from "./daemon-command.ts";
import { runPaths } from "./paths.ts";
import { removeStaleFiles, runningDaemon } from "./stale.ts";
import { boundUdpPorts, ikePorts } from "./udp-ports.ts";

/** A running charon, and the starter that loads ipsec.conf(5) into it. */
export type Charon = {
  readonly vici: ViciClient;
  readonly pid: number;
  /** Settles with what is known of its end when charon is gone or no longer answers. Never rejects. */
  readonly ended: Promise<string>;
  /** Has starter read ipsec.conf again and load what differs. */
  readonly update: () => void;
  /** Asks both to end; charon then says goodbye to its peers. */
  readonly terminate: () => void;
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
};

/** Sends a signal; a process that is gone is no fault. */
export type KillProcess = (pid: number, signal: NodeJS.Signals) => void;

/** charon did not come up; the message says what is known. */
export type StartFailure = { readonly failed: string };

/**
 * Starts charon by `ipsec start --nofork`, which becomes starter: it starts charon, loads the connections and
 * stays. Resolves when charon answers over vici and has its ports.
 * starter would restart a dead charon only after five seconds, and ends with 0 when charon cannot initialise
 * (starter.c), so both processes are watched here and always replaced together.
 */
export const startCharon = async (options: StartOptions): Promise<Charon | StartFailure> => {
  await removeStaleFiles();
  const { execa } = await import("execa");
  const [program, ...words] = daemonCommand;
  const starter = execa(program, words, {
    env: options.environment,
    extendEnv: false,
    stdin: "ignore",
    buffer: false,
    reject: false,
    cleanup: false,
  });
  for (const input of [starter.stdout, starter.stderr]) createInterface({ input }).on("line", options.onLine);
  let end: string | undefined;
  const starterEnded = starter.then((result) => {
    end = describeEnd(result);
    return end;
  });
  const kill = async (): Promise<void> => {
    // starter first, so that it does not see charon die and restart it.
    starter.kill("SIGKILL");
    const pid = runningDaemon();
    if (pid !== undefined) options.killProcess(pid, "SIGKILL");
    // The pipes stay open as long as charon has them: their end is the end of both.
    await starterEnded;
  };

  const { vici, pid } = await whenReady(options, () => end !== undefined);
  if (vici === undefined || pid === undefined) {
    await kill();
    return { failed: end ?? "charon did not start" };
  }
  return {
    vici,
    pid,
    ended: Promise.race([starterEnded, vici.closed.then(() => "charon closed its control socket")]),
    update: () => starter.kill("SIGHUP"),
    terminate: () => starter.kill("SIGTERM"),
    kill,
  };
};

/** starter itself gives charon ten seconds. */
const startLimitMilliseconds = 10_000;
const pollMilliseconds = 5;

const whenReady = async (
  { expectPorts, isStopping }: StartOptions,
  hasEnded: () => boolean,
): Promise<{ readonly vici?: ViciClient; readonly pid?: number }> => {
  const deadline = Date.now() + startLimitMilliseconds;
  let vici: ViciClient | undefined;
  while (!hasEnded() && !isStopping() && Date.now() < deadline) {
    vici ??= await connectAnswering();
    const pid = runningDaemon();
    if (vici !== undefined && pid !== undefined && (!expectPorts || portsAreBound())) return { vici, pid };
    await sleep(pollMilliseconds);
  }
  vici?.close();
  return {};
};

/** A socket that accepts proves nothing: a stopped charon's does, until its queue is full. */
const connectAnswering = async (): Promise<ViciClient | undefined> => {
  try {
    const vici = await connectVici(runPaths.vici, { unref: true });
    await vici.request("version");
    return vici;
  } catch {
    return undefined;
  }
};

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

const describeEnd = (result: {
  readonly signal?: string | undefined;
  readonly exitCode?: number | undefined;
  readonly code?: string | undefined;
}): string => {
  if (result.signal !== undefined) return `starter was ended by ${result.signal}`;
  if (result.exitCode === undefined) return `ipsec could not be started: ${result.code ?? "unknown error"}`;
  return `starter ended with exit code ${result.exitCode}`;
};
