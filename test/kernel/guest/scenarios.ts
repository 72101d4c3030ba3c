import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** A file in `test/kernel/scenarios`: a `node:test` file that runs inside the guest. */
export type Scenario = {
  /** The file's name without its ending, as `scripts/kernel` takes it. */
  readonly title: string;
  readonly file: string;
  /** Files named `*.boot.test.ts` get a guest of their own: nothing was loaded there before. */
  readonly ownBoot: boolean;
  readonly limitSeconds: number;
};

/** Those with a boot of their own come first: the last of their guests then serves all others. */
export const findScenarios = (): readonly Scenario[] =>
  readdirSync(folder)
    .filter((name) => name.endsWith(".test.ts"))
    .sort()
    .map(describeScenario)
    .sort((one, other) => Number(other.ownBoot) - Number(one.ownBoot));

const folder = join(import.meta.dirname, "..", "scenarios");

const describeScenario = (name: string): Scenario => {
  const file = join(folder, name);
  const title = name.replace(/(\.boot)?\.test\.ts$/, "");
  return { title, file, ownBoot: name.endsWith(".boot.test.ts"), limitSeconds: statedLimit(file) };
};

/** A scenario that needs longer says so in a line of its own: `// limit: 300 seconds`. */
const statedLimit = (file: string): number => {
  const stated = /^\/\/ limit: (\d+) seconds$/m.exec(readFileSync(file, "utf8"));
  return stated === null ? usualLimitSeconds : Number(stated[1]);
};

const usualLimitSeconds = 120;
