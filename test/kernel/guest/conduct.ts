import process from "node:process";
import type { TestContext } from "node:test";
import type { Guest } from "./guest.ts";
import { guestFailure, type Mirror, mirrorTests } from "./mirror.ts";
import { passedOn } from "./protocol.ts";
import type { Scenario } from "./scenarios.ts";

/** Runs a scenario in the guest, as subtests of `context`. Throws, with the guest's output, if anything failed. */
export const conductScenario = async (
  context: TestContext,
  guest: Guest,
  { file, limitSeconds }: Scenario,
): Promise<void> => {
  const consoleBefore = guest.console().length;
  const mirror = mirrorTests(context);
  let hung = false;
  // The guest stops a scenario at its limit by itself; this is for a guest that cannot.
  const patience = setTimeout(
    () => {
      hung = true;
      guest.kill();
    },
    (limitSeconds + graceSeconds) * 1000,
  );
  const environment = Object.fromEntries(passedOn.map((name) => [name, process.env[name] ?? ""]));
  guest.request({ scenario: file, limitSeconds, environment });
  const told = await follow(guest, mirror);
  clearTimeout(patience);
  const gone = hung
    ? `the guest hung for ${limitSeconds + graceSeconds} seconds`
    : "the guest ended, as in a panic";
  const problems = told.problems ?? [gone];
  await mirror.close(problems.join("\n") || "the scenario ended before this test did");
  if (problems.length === 0 && !told.failed) return;
  const said = told.output + guest.console().slice(consoleBefore);
  throw guestFailure(
    [...problems, "output of the guest:", ...said.split("\n").slice(-outputLines)].join("\n"),
  );
};

const graceSeconds = 15;

const outputLines = 200;

type Told = {
  readonly output: string;
  readonly failed: boolean;
  /** Absent if the guest went away before the end. */
  readonly problems?: readonly string[];
};

const follow = async (guest: Guest, mirror: Mirror): Promise<Told> => {
  let output = "";
  let failed = false;
  for (;;) {
    const event = await guest.nextEvent();
    if (event === undefined) return { output, failed };
    switch (event.kind) {
      case "test began":
        mirror.began(event.id, event.parent, event.title);
        break;
      case "test ended":
        failed ||= event.outcome.kind === "failed";
        mirror.ended(event.id, event.outcome);
        break;
      case "output":
        output += event.text;
        break;
      case "scenario ended":
        return { output, failed, problems: event.problems };
      case "ready":
        throw new Error("the guest started over");
      default:
        return event satisfies never;
    }
  }
};
