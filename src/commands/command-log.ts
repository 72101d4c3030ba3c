import type { Failure, Problem } from "../failure.ts";
import { createLog, type Log } from "../observe/log.ts";
import type { Secret } from "../secret.ts";
import type { Settings } from "../settings/settings.ts";
import type { Context } from "./context.ts";

/** The log of a command whose log is its output. `secrets` is asked for every line; see createLog. */
export const createCommandLog = (
  settings: Settings,
  { stdout }: Context,
  secrets: () => readonly Secret[],
): Promise<Log> =>
  createLog({
    level: logLevel(settings),
    format: settings.gateway.LOG_FORMAT ?? (stdout.isTerminal ? "pretty" : "json"),
    colour: stdout.hasColors,
    destination: stdout,
    secrets,
  });

export const logLevel = ({ gateway }: Settings) =>
  gateway.DEBUG && !["trace", "debug"].includes(gateway.LOG_LEVEL) ? "debug" : gateway.LOG_LEVEL;

export const logWarnings = (log: Log, warnings: readonly Problem[]): void => {
  for (const { variable, message, hint } of warnings) log.warn({ event: "setting", variable, hint }, message);
};

export const logProblems = (log: Log, failure: Failure): void => {
  logWarnings(log, failure.warnings);
  for (const { variable, message, hint } of failure.problems)
    log.error({ event: "failure", variable, hint }, message);
};
