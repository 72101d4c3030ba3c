import type { Namespace } from "./namespace.ts";
import { waitFor } from "./wait-for.ts";

export type PingOptions = {
  readonly from?: string;
  /** After the last request ping waits no longer than this, or than twice the slowest answer, if there was any. */
  readonly intervalSeconds?: number;
  /** Bytes of payload; 56 without it. */
  readonly size?: number;
  /** Forbid fragmentation, here and on the way. */
  readonly dontFragment?: boolean;
};

export type PingResult = {
  readonly sent: number;
  /** Distinct requests that were answered. */
  readonly received: number;
  /** Further answers to a request. */
  readonly duplicates: number;
  /** The longest time without an answer, the ends included, so that an outage at the end counts. */
  readonly longestGapMs: number;
  /** The numbers of requests without an answer, from 1. */
  readonly missing: readonly number[];
};

export type ContinuousPing = {
  /** Resolves with how long the next answer took to come, counted from this call. */
  readonly waitForAnswer: (options?: { readonly timeoutMs?: number }) => Promise<number>;
  /** What there is to say so far; requests still under way are missing in it. */
  readonly soFar: () => PingResult;
  readonly stop: () => Promise<PingResult>;
};

export const ping = async (
  namespace: Namespace,
  address: string,
  { count = 3, intervalSeconds = 0.02, ...options }: PingOptions & { readonly count?: number } = {},
): Promise<PingResult> => {
  const startMs = Date.now();
  const { stdout, stderr, exitCode } = await namespace.exec([
    ...pingArgv(address, { intervalSeconds, ...options }),
    "-c",
    `${count}`,
  ]);
  if (exitCode !== 0 && exitCode !== 1) {
    throw new Error(`${namespace.name}: ping ${address} ended with ${exitCode}: ${stdout}${stderr}`);
  }
  return summarize(stdout, startMs, Date.now());
};

/** Pings until it is stopped. Resolves at once, answered or not. */
export const continuousPing = (
  namespace: Namespace,
  address: string,
  { intervalSeconds = 0.02, ...options }: PingOptions = {},
): ContinuousPing => {
  const startMs = Date.now();
  const running = namespace.spawn(pingArgv(address, { intervalSeconds, ...options }));
  const soFar = () => summarize(running.stdout(), startMs, Date.now());
  return {
    soFar,
    waitForAnswer: async ({ timeoutMs } = {}) => {
      const calledMs = Date.now();
      const answer = await waitFor(
        `an answer from ${address}`,
        () => parseAnswers(running.stdout()).find(({ timeMs }) => timeMs >= calledMs),
        { explain: running.output, ...(timeoutMs === undefined ? {} : { timeoutMs }) },
      );
      return answer.timeMs - calledMs;
    },
    stop: async () => {
      const endMs = Date.now();
      if (!running.signal("SIGINT")) {
        throw new Error(`${running.label} had ended by itself: ${running.output()}`);
      }
      await running.exited;
      return withoutTheLast(summarize(running.stdout(), startMs, endMs));
    },
  };
};

/** A request that was under way when ping was stopped is neither sent nor lost. */
const withoutTheLast = (result: PingResult): PingResult =>
  result.missing.at(-1) === result.sent
    ? { ...result, sent: result.sent - 1, missing: result.missing.slice(0, -1) }
    : result;

/** `-D` prints the time of each answer, `-O` a line for each that is late, by which requests are counted on the way. */
const pingArgv = (
  address: string,
  { from, intervalSeconds, size, dontFragment }: PingOptions,
): [string, ...string[]] => [
  "ping",
  ...["-n", "-D", "-O", "-W", "1", "-i", `${intervalSeconds}`],
  ...(from === undefined ? [] : ["-I", from]),
  ...(size === undefined ? [] : ["-s", `${size}`]),
  ...(dontFragment ? ["-M", "do"] : []),
  address,
];

const summarize = (stdout: string, startMs: number, endMs: number): PingResult => {
  const answers = parseAnswers(stdout);
  const sequences = new Set(answers.map(({ sequence }) => sequence));
  const sent =
    Number(/^(\d+) packets transmitted/m.exec(stdout)?.[1] ?? 0) ||
    Math.max(0, ...[...stdout.matchAll(/icmp_seq=(\d+)/g)].map(([, number]) => Number(number)));
  const times = [startMs, ...answers.map(({ timeMs }) => timeMs), endMs];
  return {
    sent,
    received: sequences.size,
    duplicates: answers.length - sequences.size,
    longestGapMs: Math.max(0, ...times.slice(1).map((time, index) => time - (times[index] ?? time))),
    missing: Array.from({ length: sent }, (_, index) => index + 1).filter((number) => !sequences.has(number)),
  };
};

const parseAnswers = (stdout: string): { sequence: number; timeMs: number }[] =>
  [...stdout.matchAll(/^\[(\d+\.\d+)\] \d+ bytes from .* icmp_seq=(\d+) /gm)].map(
    ([, seconds, sequence]) => ({
      sequence: Number(sequence),
      timeMs: Number(seconds) * 1000,
    }),
  );
