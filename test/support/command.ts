import { spawn } from "node:child_process";
import { once } from "node:events";
import { delimiter, dirname } from "node:path";
import process from "node:process";
import { repository } from "./repository.ts";
import type { Environment } from "./site-process.ts";

export type CommandResult = {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
};

/** `node` must be the one that runs the tests: the host's own may be too old. */
export const searchPath = [dirname(process.execPath), process.env["PATH"] ?? ""].join(delimiter);

/** Our command: `src/main.ts`, or the words of VNF_IPSEC_COMMAND, relative to the repository. */
export const commandWords = (): readonly [string, ...string[]] => {
  const [program, ...words] = (process.env["VNF_IPSEC_COMMAND"] ?? "").split(" ").filter(Boolean);
  return program === undefined ? [process.execPath, `${repository}/src/main.ts`] : [program, ...words];
};

/** Runs our command to its end, with this environment and a PATH, and nothing else. */
export const runCommand = (
  args: readonly string[],
  environment: Environment = {},
  { through = [] }: { readonly through?: readonly string[] } = {},
): Promise<CommandResult> =>
  runToEnd([...through, ...commandWords(), ...args] as [string, ...string[]], {
    PATH: searchPath,
    ...environment,
  });

export const runToEnd = async (
  [program, ...words]: readonly [string, ...string[]],
  environment: Environment,
): Promise<CommandResult> => {
  const child = spawn(program, words, {
    cwd: repository,
    env: environment,
    stdio: ["ignore", "pipe", "pipe"],
    timeout: 60_000,
    killSignal: "SIGKILL",
  });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    stdout += chunk;
  });
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
    stderr += chunk;
  });
  const [exitCode] = (await once(child, "close")) as [number | null];
  return { exitCode, stdout, stderr };
};
