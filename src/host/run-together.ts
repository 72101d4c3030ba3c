import type { ProgramResult, RunProgram } from "./run-program.ts";
import type { Argv } from "./step.ts";

/** A command that failed, by its place among those that were run, and its words; without a place, all may have. */
export type Refusal = { readonly index?: number; readonly exitCode: number; readonly words: string };

/** Splits what is to be done in turn into parts that one process can do, in their order. */
export const partsOfProcesses = <Item>(
  items: readonly Item[],
  commandOf: (item: Item) => Argv,
): readonly (readonly Item[])[] => {
  const parts: Item[][] = [];
  let open = false;
  for (const item of items) {
    const batchable = isBatchable(commandOf(item));
    if (open && batchable) parts.at(-1)?.push(item);
    else parts.push([item]);
    open = batchable;
  }
  return parts.flatMap((part) => (part.length < worthABatch ? part.map((item) => [item]) : [part]));
};

/** Runs the commands of one part: until one fails, or all of them whatever fails. `input` is for one that is alone. */
export const runTogether = async (
  commands: readonly Argv[],
  until: "failure" | "end",
  runProgram: RunProgram,
  input?: string,
): Promise<readonly Refusal[]> => {
  const [only, ...others] = commands;
  if (only === undefined) return [];
  if (others.length === 0) {
    const { exitCode, stderr } = await runProgram(only, input);
    return exitCode === 0 ? [] : [{ index: 0, exitCode, words: stderr }];
  }
  const lines = commands.map(([, ...words]) => `${words.join(" ")}\n`).join("");
  return refusalsOf(await runProgram(["ip", ...(until === "end" ? ["-force"] : []), "-batch", "-"], lines));
};

/** Fewer are run by themselves, as a person would. */
const worthABatch = 8;

/** Of what cannot be quoted wrongly. Others, such as `deleteall`, end the whole batch (iproute2 6.1, xfrm_policy.c). */
const isBatchable = ([program, ...words]: Argv): boolean =>
  program === "ip" &&
  /^(?:xfrm policy update|xfrm policy delete|route add|route del) [\w./: -]+$/.test(words.join(" "));

/** `ip` says after the words of each failed line which it was (iproute2 lib/utils.c, do_batch). */
const refusalsOf = ({ exitCode, stderr }: ProgramResult): readonly Refusal[] => {
  if (exitCode === 0) return [];
  const [...told] = stderr.matchAll(/(?<words>(?:(?!Command failed ).*\n)*)Command failed -:(?<line>\d+)/g);
  if (told.length === 0) return [{ exitCode, words: stderr }];
  return told.map(({ groups }) => ({
    index: Number(groups?.["line"]) - 1,
    exitCode,
    words: groups?.["words"]?.trim() ?? "",
  }));
};
