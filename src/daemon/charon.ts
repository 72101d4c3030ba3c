import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { exitCodes, Failure } from "../failure.ts";
import { connectVici, type ViciClient } from "../vici/client.ts";
import { runPaths } from "./paths.ts";
import { removeStaleFiles, runningDaemon } from "./stale.ts";
import { boundUdpPorts, ikePorts } from "./udp-ports.ts";

/** A running charon, and the starter that loads ipsec.conf(5) into it. */
export type Charon = {
  readonly vici: ViciClient;
  readonly pid: number;
  /** Settles when charon is gone, with what is known of its end. Never rejects. */
  readonly ended: Promise<CharonEnd>;
  /** Has starter read ipsec.conf again and load what differs. */
  readonly update: () => void;
  /** Has charon read strongswan.conf again. */
  readonly kill: () => void;
  readonly terminate: () => void;
};

export type CharonEnd = { readonly description: string };

export type StartOptions = {
  readonly environment: Record<string, string>;
  readonly onLine: (line: string) => void;
  /** Whether UDP 500 and 4500 must be bound before charon counts as started; a mounted charon.conf may move them. */
  readonly expectPorts: boolean;
  readonly signal: AbortSignal;
};

/** Why charon did not come up. */
export class StartFailed extends Error {
  override readonly name = "StartFailed";
}

/**
 * Starts charon by `ipsec start --nofork`, which becomes starter: it starts charon, loads the connections and
 * stays. Resolves when charon answers over vici and has its ports.
 * starter would restart a dead charon only after five seconds, and ends with 0 when charon cannot initialise
 * (starter.c), so both processes are watched here and are always replaced together.
 */
export const startCharon = async (options: StartOptions): Promise<Charon> => {
  await removeStaleFiles();
  const { execa } = await import("execa");
  const starter = execa("ipsec", ["start", "--nofork"], {
    env: options.environment,
    extendEnv: false,
    stdin: "ignore",
    buffer: false,
    reject: false,
    cleanup: false,
  });
  for (const stream of [starter.stdout, starter.stderr] as readonly Readable[]) {
    createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY }).on("line", options.onLine);
  }
  let starterEnd: CharonEnd | undefined;
  const starterEnded = starter.then((result): CharonEnd => {
    starterEnd = { description: describeEnd(result) };
    return starterEnd;
  });
  const kill = (): void => {
    // starter first, so that it does not see charon die.
    starter.kill("SIGKILL");
    const pid = runningDaemon();
    if (pid !== undefined) sendSignal(pid, "SIGKILL");
  };

  const deadline = Date.now() + startLimitMilliseconds;
  const vici = await connectWhenReady();
  const pid = runningDaemon();
  if (vici === undefined || pid === undefined) {
    kill();
    await starterEnded;
    throw new StartFailed(starterEnd?.description ?? "charon did not start");
  }
  const viciEnded = vici.closed.then((): CharonEnd => ({ description: "charon closed its control socket" }));
  return {
    vici,
    pid,
    ended: Promise.race([starterEnded, viciEnded]),
    update: () => sendSignal(starter.pid, "SIGHUP"),
    terminate: () => sendSignal(starter.pid, "SIGTERM"),
    kill,
  };

  async function connectWhenReady(): Promise<ViciClient | undefined> {
    let connected: ViciClient | undefined;
    while (starterEnd === undefined && Date.now() < deadline && !options.signal.aborted) {
      connected ??= await connectVici(runPaths.vici).catch(() => undefined);
      if (connected !== undefined && runningDaemon() !== undefined && (!options.expectPorts || portsAreBound())) {
        return connected;
      }
      await sleep(pollMilliseconds);
    }
    connected?.close();
    if (connected !== undefined && starterEnd === undefined && !options.signal.aborted) {
      kill();
      throw portsNotBound();
    }
    return undefined;
  }
};

/** Whatever is left of starter and charon is killed, and their pid files and sockets are removed. */
export const sendSignal = (pid: number | undefined, signal: NodeJS.Signals): void => {
  if (pid === undefined) return;
  try {
    globalThis.process.kill(pid, signal);
  } catch {
    // It is gone already.
  }
};

/** starter itself gives charon ten seconds. */
const startLimitMilliseconds = 10_000;
const pollMilliseconds = 5;

const portsAreBound = (): boolean => {
  const bound = boundUdpPorts();
  return ikePorts.every((port) => bound.has(port));
};

const portsNotBound = (): Failure =>
  new Failure(
    [{ message: "charon could not bind UDP ports 500 and 4500", hint: "see charon's messages above; is another IKE daemon running in this network namespace?" }],
    exitCodes.unavailable,
  );

const describeEnd = (result: { readonly exitCode?: number; readonly signal?: string; readonly originalMessage?: string }): string => {
  if (result.signal !== undefined) return `starter was ended by ${result.signal}`;
  if (result.exitCode === undefined) return result.originalMessage ?? "ipsec could not be started";
  return `starter ended with exit code ${result.exitCode}`;
};
