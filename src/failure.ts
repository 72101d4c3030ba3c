/** Exit codes of the command, after sysexits.h. */
export const exitCodes = {
  /** Success, or a stop that was asked for. */
  ok: 0,
  /** Of `healthcheck`: not healthy, as Docker and Kubernetes understand it. */
  unhealthy: 1,
  /** The command line is wrong (EX_USAGE). */
  usage: 64,
  /** Something needed is not there: no strongSwan, no kernel support (EX_UNAVAILABLE). */
  unavailable: 69,
  /** Our bug, or a daemon that will not stay up (EX_SOFTWARE). */
  software: 70,
  /** A file could not be read or written (EX_IOERR). */
  inputOutput: 74,
  /** Not root, or a capability is missing (EX_NOPERM). */
  permission: 77,
  /** The settings are wrong (EX_CONFIG). */
  configuration: 78,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** Something the operator should know about a setting: an error or a warning, and how to mend it. */
export type Problem = {
  /** The variable at fault, or a list joined by `, ` when several disagree; absent when no variable is to blame. */
  readonly variable?: string;
  /** One line, lower case, no full stop. Shows the refused value, never a secret. */
  readonly message: string;
  /** What to do, with an example of a good value. */
  readonly hint?: string;
  /** Where it stands, if that is a file of connections; the message names it too. */
  readonly place?: Place;
};

/** A line of a file, and the keys that lead to it, such as `connections.berlin.psk`. */
export type Place = { readonly file: string; readonly line: number; readonly path: string };

/** As compilers write it, and editors follow it. */
export const placeText = ({ file, line, path }: Place): string =>
  [`${file}:${line}`, ...(path === "" ? [] : [path])].map((part) => quoted(part).slice(1, -1)).join(": ");

/** Either a value, or every problem that stands in its way. Parsers return it so that problems collect. */
export type Result<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly problem: Problem };

/** A fault that the operator can mend. Only `main.ts` prints it; anything else that is thrown is our bug. */
export class Failure extends Error {
  override readonly name = "Failure";
  readonly problems: readonly Problem[];
  /** What else the operator should know; never the reason of the failure. */
  readonly warnings: readonly Problem[];
  readonly exitCode: ExitCode;

  constructor(
    problems: readonly Problem[],
    exitCode: ExitCode,
    options: ErrorOptions & { readonly warnings?: readonly Problem[] } = {},
  ) {
    super(problems.map((problem) => problem.message).join("; "), options);
    this.problems = problems;
    this.warnings = options.warnings ?? [];
    this.exitCode = exitCode;
  }
}

export const valid = <T>(value: T): Result<T> => ({ ok: true, value });

export const invalid = (message: string, hint?: string): Result<never> => ({
  ok: false,
  problem: hint === undefined ? { message } : { message, hint },
});

/** A refused value as it may appear in a message: quoted, control characters escaped, at most 80 characters. */
export const quoted = (text: string): string => {
  const characters = [...text];
  const shown = characters.length > 80 ? `${characters.slice(0, 79).join("")}…` : text;
  return JSON.stringify(shown).replace(
    /[\u007f-\u009f\u2028\u2029\ufeff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
};
