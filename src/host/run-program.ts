import type { Log } from "../observe/log.ts";

export type ProgramResult = {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
};

/** Runs one program to its end. It never throws: a program that cannot be started has exit code 127. */
export type RunProgram = (argv: readonly [string, ...string[]], input?: string) => Promise<ProgramResult>;

/**
 * Programs get this environment and nothing else, so that no secret of ours is in theirs.
 * The `ipsec` script in particular reads variables that begin with IPSEC_.
 */
export const childEnvironment = (
  environment: Readonly<Record<string, string | undefined>>,
): Record<string, string> => {
  const kept = ["PATH", "HOME", "TZ", "LANG", "LC_ALL", "STRONGSWAN_CONF"] as const;
  return Object.fromEntries(
    kept.flatMap((name) => (environment[name] === undefined ? [] : [[name, environment[name]]])),
  );
};

export const createRunProgram =
  (environment: Record<string, string>, log: Log): RunProgram =>
  async ([file, ...args], input) => {
    const { execa } = await import("execa");
    const result = await execa(file, args, {
      env: environment,
      extendEnv: false,
      reject: false,
      ...(input === undefined ? { stdin: "ignore" } : { input }),
      timeout: 10_000,
      stripFinalNewline: true,
    });
    const exitCode = result.exitCode ?? (result.failed ? 127 : 0);
    log.debug({ argv: [file, ...args], exitCode }, "program ran");
    return {
      exitCode,
      stdout: result.stdout,
      stderr: result.exitCode === undefined ? (result.shortMessage ?? "") : result.stderr,
    };
  };
