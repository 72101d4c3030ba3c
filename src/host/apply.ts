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
    if (step.optional) {
      effects.log.warn(
        { event: "host-unchanged", command: pasteable(step.argv), reason: lastLine(result.stderr) },
        `cannot ${step.why}`,
      );
      continue;
    }
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
  const reason = lastLine(words) || `exit code ${exitCode}`;
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

const lastLine = (words: string): string => words.trim().split("\n").at(-1) ?? "";

const remedyFor = (reason: string, argv: Argv): string => {
  const [program] = argv;
  if (/ENOENT|command not found/i.test(reason)) return `install ${program}`;
  if (program === "sysctl") {
    const [, setting = ""] = /conf\.[^.]+\.(\w+=\d)$/.exec(argv.at(-1) ?? "") ?? [];
    return `/proc/sys is closed to this container: start it with --sysctl net.ipv4.conf.default.${setting}, or run init --privileged before it (initContainer)`;
  }
  if (/Unknown device type|not supported/i.test(reason)) {
    return "the kernel has no such interface: load its module on the host (modprobe ip_vti, ip6_vti or xfrm_interface), or mount /lib/modules and run init --privileged";
  }
  if (/not permitted|permission/i.test(reason)) return "run with the capability NET_ADMIN, or --privileged";
  if (/ENOENT|not found|No such file/i.test(reason)) return `install ${program}`;
  return "run the command by hand to see more; nothing was left changed";
};
