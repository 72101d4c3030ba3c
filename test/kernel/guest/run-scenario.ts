import process from "node:process";
import { finished } from "node:stream/promises";
import { run } from "node:test";
import { inspect } from "node:util";
import type { GuestEvent, Outcome, Request } from "./protocol.ts";
import { leftovers, type State } from "./state.ts";

type Report = (event: GuestEvent) => void;

/** Runs one file in a process of its own and tells what happens; whatever differs from `clean` afterwards is a problem. */
export const runScenario = async (request: Request, clean: State, report: Report): Promise<void> => {
  Object.assign(process.env, request.environment);
  const first = await runFile(request, report);
  if (first.crashedAtOnce) report({ kind: "output", text: onceMore });
  const { problems } = first.crashedAtOnce ? await runFile(request, report) : first;
  const left = (await leftovers(clean)).map((fact) => `left behind: ${fact}`);
  report({ kind: "scenario ended", problems: [...problems, ...left] });
};

/** On an emulated processor Node itself crashes now and then while it compiles what it has just loaded. */
const onceMore =
  "the process of the scenario ended by SIGSEGV before its first test, and is started once more\n";

type Run = {
  readonly problems: readonly string[];
  /** The process ended by SIGSEGV when no test had begun. */
  readonly crashedAtOnce: boolean;
};

const runFile = async ({ scenario: file, limitSeconds }: Request, report: Report): Promise<Run> => {
  const limit = AbortSignal.timeout(limitSeconds * 1000);
  const problems: string[] = [];
  let tests = 0;
  let begun = 0;
  let signal: unknown;
  const end = (id: number, outcome: Outcome): void => {
    tests += 1;
    report({ kind: "test ended", id, outcome });
  };
  // The file is itself a test of the runner, named by its path: only its failure is of interest.
  const events = run({ files: [file], signal: limit })
    .on("test:dequeue", ({ name, testId, parentId }) => {
      if (name === file) return;
      begun += 1;
      report({ kind: "test began", id: testId, parent: parentId ?? 0, title: name });
    })
    .on("test:pass", ({ name, testId, skip }) => {
      if (name === file) return;
      end(testId, skip === undefined ? { kind: "passed" } : { kind: "skipped", reason: String(skip) });
    })
    .on("test:fail", ({ name, testId, details }) => {
      if (name === file) {
        signal = (details.error as { readonly signal?: unknown }).signal;
        problems.push(limit.aborted ? overtime(limitSeconds) : crash(details.error));
      } else end(testId, { kind: "failed", report: inspect(details.error.cause ?? details.error) });
    })
    .on("test:stdout", ({ message }) => report({ kind: "output", text: message }))
    .on("test:stderr", ({ message }) => report({ kind: "output", text: message }));
  await finished(events.resume());
  if (tests === 0 && problems.length === 0) problems.push("the file has no tests");
  return { problems, crashedAtOnce: signal === "SIGSEGV" && begun === 0 };
};

const overtime = (limitSeconds: number): string => `stopped at its limit of ${limitSeconds} seconds`;

const crash = (error: Error): string => `failed outside of its tests: ${inspect(error)}`;
