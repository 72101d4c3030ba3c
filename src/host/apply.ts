import { exitCodes, Failure } from "../failure.ts";
import type { Log } from "../observe/log.ts";
import type { Journal } from "./journal.ts";
import type { RunProgram } from "./run-program.ts";
import { type Argv, pasteable, type Step } from "./step.ts";

export type Effects = { readonly runProgram: RunProgram; readonly log: Log; readonly journal: Journal };

/**
 * Makes the changes in order, each logged before it is made and written to the journal with the command that
 * takes it back. When one fails, those of this call before it are taken back and a Failure tells the command and its
 * words.
 */
export const applySteps = async (steps: readonly Step[], effects: Effects): Promise<void> => {
  const made: Argv[] = [];
  for (const step of steps) {
    effects.log.info({ event: "host-changed", command: pasteable(step.argv) }, step.why);
    if (step.undo !== undefined) effects.journal.add(step.undo);
    const result = await effects.runProgram(step.argv);
    if (result.exitCode === 0) {
      if (step.undo !== undefined) made.push(step.undo);
      continue;
    }
    // The failed step changed nothing, so its own undo must not run.
    if (step.undo !== undefined) effects.journal.drop(step.undo);
    await undo(made, effects);
    throw stepFailed(step, result.exitCode, result.stderr);
  }
};

/** Takes back everything in the journal, the last change first. What is gone already is no fault. */
export const undoAll = (effects: Effects): Promise<void> => undo(effects.journal.entries(), effects);

/** Takes back these changes of the journal, the last one first. */
export const undo = async (
  changes: readonly Argv[],
  { runProgram, log, journal }: Effects,
): Promise<void> => {
  for (const argv of changes.toReversed()) {
    log.info({ event: "host-restored", command: pasteable(argv) }, "take back a change of the host");
    const result = await runProgram(argv);
    if (result.exitCode !== 0)
      log.warn({ command: pasteable(argv), reason: result.stderr }, "could not take back a change");
    journal.drop(argv);
  }
};

const stepFailed = (step: Step, exitCode: number, words: string): Failure => {
  const reason = words.trim().split("\n").at(-1) || `exit code ${exitCode}`;
  return new Failure(
    [
      {
        message: `cannot ${step.why}: ${pasteable(step.argv)}: ${reason}`,
        hint: remedyFor(reason, step.argv),
      },
    ],
    /not permitted|permission/i.test(reason) ? exitCodes.permission : exitCodes.unavailable,
  );
};

const remedyFor = (reason: string, [program]: Argv): string => {
  if (/not permitted|permission/i.test(reason)) return "run with the capability NET_ADMIN, or --privileged";
  if (/ENOENT|not found|No such file/i.test(reason)) return `install ${program}`;
  return "run the command by hand to see more; nothing was left changed";
};
