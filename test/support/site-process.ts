import { spawn } from "node:child_process";
import { setImmediate as nextTurn } from "node:timers/promises";
import { generousTimeoutMs } from "./wait-for.ts";

/** One line of JSON that a process wrote to its stdout, as pino does. */
export type LogRecord = { readonly [field: string]: unknown };

/** How a process ended: one of the two is null. */
export type Exit = { readonly exitCode: number | null; readonly signal: NodeJS.Signals | null };

export type Environment = { readonly [variable: string]: string };

export type WaitOptions = {
  readonly timeoutMs?: number;
  /** Where to start looking: a length of `output()` or of `records()` noted earlier. Without it, at the start. */
  readonly from?: number;
};

/** A program running in a namespace. Its process id is the host's: the lab has no PID namespaces. */
export type SiteProcess = {
  readonly label: string;
  readonly pid: number;
  /** Everything written so far. */
  readonly stdout: () => string;
  readonly stderr: () => string;
  /** stdout and stderr in the order in which they arrived. */
  readonly output: () => string;
  readonly records: () => readonly LogRecord[];
  readonly waitForRecord: (
    predicate: (record: LogRecord) => boolean,
    options?: WaitOptions,
  ) => Promise<LogRecord>;
  readonly waitForOutput: (pattern: RegExp, options?: WaitOptions) => Promise<RegExpExecArray>;
  /** False when the process has already ended. */
  readonly signal: (name: NodeJS.Signals) => boolean;
  /** Resolves when the process has ended and all that it wrote is read; what its children write still comes after. */
  readonly exited: Promise<Exit>;
  /** Ends the process with SIGKILL if it still runs. Its children, if any, are the lab's to end. */
  readonly kill: () => Promise<Exit>;
};

export type ProcessRequest = {
  readonly label: string;
  readonly argv: readonly [string, ...string[]];
  readonly environment: Environment;
  readonly input?: string | Uint8Array;
  /** What everything in the lab has said lately; told when a wait fails. */
  readonly testimony: () => string;
};

export const startProcess = ({ label, argv, environment, input, testimony }: ProcessRequest): SiteProcess => {
  const [program, ...words] = argv;
  const child = spawn(program, words, {
    env: environment,
    // Only who is given input gets more than /dev/null: Node's pipe is a socket, for which bash reads ~/.bashrc.
    stdio: [input === undefined ? "ignore" : "pipe", "pipe", "pipe"],
  });
  const text = { stdout: "", stderr: "", output: "" };
  const records: LogRecord[] = [];
  const observers = new Set<() => void>();
  let exit: Exit | undefined;
  let unfinishedLine = "";

  const notify = () => {
    for (const observer of observers) {
      observer();
    }
  };
  const hear = (stream: "stdout" | "stderr", chunk: string) => {
    text[stream] += chunk;
    text.output += chunk;
    if (stream === "stdout") {
      const lines = (unfinishedLine + chunk).split("\n");
      unfinishedLine = lines.pop() ?? "";
      records.push(...lines.flatMap(parseRecord));
    }
    notify();
  };
  child.stdout?.setEncoding("utf8").on("data", (chunk: string) => hear("stdout", chunk));
  child.stderr?.setEncoding("utf8").on("data", (chunk: string) => hear("stderr", chunk));
  // A program that ends without reading its input is no fault of the lab.
  child.stdin?.on("error", () => {}).end(input);

  const exited = new Promise<Exit>((resolve, reject) => {
    const end = (exitCode: number | null, signal: NodeJS.Signals | null) => {
      exit ??= { exitCode, signal };
      notify();
      resolve(exit);
    };
    child.once("error", reject);
    child.once("close", end);
    // Children that outlive the process keep its streams open, so `close` may not come for long.
    child.once("exit", async (exitCode, signal) => {
      await silence(() => text.output.length);
      end(exitCode, signal);
    });
  });
  exited.catch(() => {});

  const describe = () => `--- ${label}: ${state(child.pid, exit)}\n${lastLines(text.output, 40)}`;
  const watch = <Found>(what: string, look: () => Found | undefined, timeoutMs = generousTimeoutMs) =>
    new Promise<Found>((resolve, reject) => {
      const settle = (act: () => void) => {
        clearTimeout(timer);
        observers.delete(attempt);
        act();
      };
      const fail = (reason: string) =>
        settle(() => reject(new Error(`${label}: ${reason}\n${describe()}\n${testimony()}`)));
      const attempt = () => {
        const found = look();
        if (found !== undefined) {
          settle(() => resolve(found));
        } else if (exit !== undefined) {
          fail(`ended before ${what}`);
        }
      };
      const timer = setTimeout(() => fail(`waited ${timeoutMs} ms for ${what}`), timeoutMs);
      observers.add(attempt);
      attempt();
    });

  const signal = (name: NodeJS.Signals) =>
    child.exitCode === null && child.signalCode === null && child.kill(name);

  return {
    label,
    pid: child.pid ?? 0,
    stdout: () => text.stdout,
    stderr: () => text.stderr,
    output: () => text.output,
    records: () => records,
    waitForRecord: (predicate, { timeoutMs, from = 0 } = {}) =>
      watch(`a record for which ${predicate}`, () => records.slice(from).find(predicate), timeoutMs),
    waitForOutput: (pattern, { timeoutMs, from = 0 } = {}) =>
      watch(`output like ${pattern}`, () => pattern.exec(text.output.slice(from)) ?? undefined, timeoutMs),
    signal,
    exited,
    kill: () => {
      signal("SIGKILL");
      return exited;
    },
  };
};

/** What a failure message shows of one process: its state and its last words. */
export const describeProcess = (process: SiteProcess): string =>
  `--- ${process.label} (pid ${process.pid})\n${lastLines(process.output(), 15)}`;

/**
 * Resolves when all that an ended process wrote is read. It lies in the kernel's buffer by then, so each turn of the
 * event loop reads of it; the first turn or two may work on what was ready before the end.
 */
const silence = async (length: () => number): Promise<void> => {
  for (let quietTurns = 0; quietTurns < 4; ) {
    const before = length();
    await nextTurn();
    quietTurns = length() === before ? quietTurns + 1 : 0;
  }
};

const parseRecord = (line: string): LogRecord[] => {
  if (!line.startsWith("{")) {
    return [];
  }
  try {
    return [JSON.parse(line)];
  } catch {
    return [];
  }
};

const state = (pid: number | undefined, exit: Exit | undefined): string =>
  exit === undefined ? `running (pid ${pid})` : `ended with ${exit.signal ?? exit.exitCode}`;

const lastLines = (text: string, count: number): string =>
  text.trimEnd().split("\n").slice(-count).join("\n");
