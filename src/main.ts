#!/usr/bin/env node
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { runCli } from "./cli.ts";
import type { Output } from "./commands/context.ts";
import { printProblems } from "./commands/print-problems.ts";
import { createControl } from "./daemon/control.ts";
import { exitCodes, Failure } from "./failure.ts";
import { version } from "./version.ts";

const control = createControl();
for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => control.requestStop(signal));
process.on("SIGHUP", () => control.requestReload());

const output = (stream: NodeJS.WriteStream): Output => {
  // Whoever read our output has gone; there is nobody left to tell.
  stream.on("error", () => {});
  const isTerminal = stream.isTTY === true;
  const hasColors = isTerminal && stream.hasColors() && (process.env.NO_COLOR ?? "") === "";
  return { write: (text) => stream.write(text), isTerminal, hasColors };
};
const stdout = output(process.stdout);
const stderr = output(process.stderr);

const killProcess = (pid: number, signal: NodeJS.Signals): void => {
  try {
    process.kill(pid, signal);
  } catch {
    // It is gone already.
  }
};

const describeFault = (error: unknown): number => {
  if (error instanceof Failure) {
    printProblems("warning", error.warnings, stderr);
    printProblems("error", error.problems, stderr);
    return error.exitCode;
  }
  const stack = error instanceof Error ? error.stack : String(error);
  stderr.write(`vnf-ipsec: error: this is a bug in vnf-ipsec, please report it\n${stack}\n`);
  return exitCodes.software;
};

/** A pipe takes 64 KiB at once, and what is not yet written is lost at the end. */
const untilWritten = (stream: NodeJS.WriteStream): Promise<void> =>
  new Promise((resolve) => stream.write("", () => resolve()));

const stoppedWriteLimitMilliseconds = 200;

const context = { environment: process.env, stdout, stderr, control, version, killProcess };
runCli(process.argv.slice(2), context)
  .catch(describeFault)
  .then(async (exitCode) => {
    const written = Promise.all([process.stdout, process.stderr].map(untilWritten));
    // Whoever reads slowly gets everything, unless a stop is asked for.
    await Promise.race([written, control.stop.then(() => sleep(stoppedWriteLimitMilliseconds))]);
    // Timers that were only a limit must not hold the end up.
    process.exit(exitCode);
  });
