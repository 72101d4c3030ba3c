import { exitCodes, Failure } from "../failure.ts";
import type { Log } from "../observe/log.ts";
import type { Journal } from "./journal.ts";
import type { RunProgram } from "./run-program.ts";
import { partsOfProcesses, type Refusal, runTogether } from "./run-together.ts";
import { type Argv, pasteable, pasteableStep, type Step } from "./step.ts";

export type Effects = { readonly runProgram: RunProgram; readonly log: Log; readonly journal: Journal };

/**
 * Makes the changes in order, each logged before it is made and written to the journal with the command that
 * takes it back. When one fails, those of this call before it are taken back and a Failure tells the command and its
 * words.
 */
export const applySteps = async (steps: readonly Step[], effects: Effects): Promise<void> => {
  const { log, journal, runProgram } = effects;
  const made: Argv[] = [];
  for (const part of partsOfProcesses(steps, ({ argv }) => argv)) {
    for (const step of part) log.info({ event: "host-changed", command: pasteableStep(step) }, step.why);
    journal.add(undosOf(part));
    const [refusal] = await runTogether(
      part.map(({ argv }) => argv),
      "failure",
      runProgram,
      part[0]?.input,
    );
    // Where nobody says which step failed, any may have been made.
    const reached = refusal?.index ?? part.length;
    made.push(...undosOf(part.slice(0, reached)));
    if (refusal === undefined) continue;
    // The failed step changed nothing, so its own undo must not run.
    journal.drop(undosOf(part.slice(reached)));
    const failed = part[refusal.index ?? 0] as Step;
    if (failed.optional) {
      log.warn(
        { event: "host-unchanged", command: pasteable(failed.argv), reason: essenceOf(refusal.words) },
        `cannot ${failed.why}`,
      );
      continue;
    }
    await undo(made, effects);
    throw stepFailed(failed, refusal);
  }
};

/** Takes back everything in the journal, the last change first. What is gone already is no fault. */
export const undoAll = (effects: Effects): Promise<void> => undo(effects.journal.entries(), effects);

/** Takes back these changes of the journal, the last one first. */
export const undo = async (
  changes: readonly Argv[],
  { runProgram, log, journal }: Effects,
): Promise<void> => {
  for (const part of partsOfProcesses(changes.toReversed(), (argv) => argv)) {
    for (const argv of part)
      log.info({ event: "host-restored", command: pasteable(argv) }, "take back a change of the host");
    for (const { index = 0, words } of await runTogether(part, "end", runProgram))
      log.warn({ command: pasteable(part[index] as Argv), reason: words }, "could not take back a change");
    journal.drop(part);
  }
};

const undosOf = (steps: readonly Step[]): readonly Argv[] =>
  steps.flatMap(({ undo }) => (undo ? [undo] : []));

const stepFailed = (step: Step, { exitCode, words }: Refusal): Failure => {
  const reason = essenceOf(words) || `exit code ${exitCode}`;
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

/** The line that tells what is wrong: nft shows the place in the lines after it. */
const essenceOf = (words: string): string => {
  const lines = words.trim().split("\n");
  return lines.find((line) => /\bError: /.test(line)) ?? lines.at(-1) ?? "";
};

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
