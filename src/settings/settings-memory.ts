import type { Problem } from "../failure.ts";
import type { ConnectionEnvironment, Environment } from "./environment.ts";
import type { Values } from "./settings.ts";

export type Problems = { readonly errors: readonly Problem[]; readonly warnings: readonly Problem[] };

export type ParsedConnection = Problems & { readonly values: Values };

/**
 * What the connections of a file came to when they were last read, so that a reload checks only what has changed. Whoever
 * gets the same values again can tell by their identity.
 */
export type SettingsMemory = {
  /** Begins another reading, in an environment. What is not asked for in it is forgotten by the next. */
  readonly beginning: (environment: Environment) => Recall;
};

type Recall = (
  connection: { readonly environment: Environment } | ConnectionEnvironment,
  parse: () => ParsedConnection,
) => ParsedConnection;

export const createSettingsMemory = (): SettingsMemory => {
  let last = new Map<string, Remembered>();
  return {
    beginning: (environment) => {
      const before = last;
      const common = textOf(environment);
      const now = new Map<string, Remembered>();
      last = now;
      return (connection, parse) => {
        if (!("place" in connection)) return parse();
        const given = common + textOf(connection.environment);
        const known = before.get(connection.name);
        const parsed = known?.given === given ? known.parsed : parse();
        // Complaints tell of places in the file, which may be others the next time.
        if (parsed.errors.length + parsed.warnings.length === 0) now.set(connection.name, { given, parsed });
        return parsed;
      };
    },
  };
};

type Remembered = { readonly given: string; readonly parsed: ParsedConnection };

/** All that was given, bytes included, as one text that nothing else gives. */
const textOf = (environment: Environment): string =>
  [...environment]
    .map(
      ([name, { text, bytes }]) =>
        `${name}=${bytes === undefined ? text : Buffer.from(bytes).toString("latin1")}\0`,
    )
    .join("");
