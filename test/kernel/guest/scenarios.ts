import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { repository } from "../../support/repository.ts";
import { attempts } from "../../support/scale.ts";

/** A `node:test` file that runs inside the guest. */
export type Scenario = {
  /** The file's name without its ending, as `scripts/kernel` takes it. */
  readonly title: string;
  readonly file: string;
  /** Files named `*.boot.test.ts` get a guest of their own: nothing was loaded there before. */
  readonly ownBoot: boolean;
  readonly limitSeconds: number;
  /** With the line `// with libreswan` in it, the peer of that make must have been obtained. */
  readonly withLibreswan: boolean;
};

/**
 * Those of a tier, in `test/<tier>/scenarios`; with a backend that is named, those that run with either. Who has a boot of
 * its own comes first: the last of their guests then serves all others, those first that may take longest.
 */
export const findScenarios = (tier: "kernel" | "image"): readonly Scenario[] => {
  const folder = join(repository, "test", tier, "scenarios");
  return readdirSync(folder)
    .filter((name) => name.endsWith(".test.ts"))
    .sort()
    .map((name) => describeScenario(folder, name))
    .filter(({ file }) => !process.env["VNF_IPSEC_TEST_BACKEND"] || runsWithEither(file))
    .sort(
      (one, other) => Number(other.ownBoot) - Number(one.ownBoot) || other.limitSeconds - one.limitSeconds,
    );
};

const runsWithEither = (file: string): boolean => hasLine(file, "// with either backend");

const hasLine = (file: string, line: string): boolean =>
  readFileSync(file, "utf8").split("\n").includes(line);

const describeScenario = (folder: string, name: string): Scenario => {
  const file = join(folder, name);
  const title = name.replace(/(\.boot)?\.test\.ts$/, "");
  return {
    title,
    file,
    ownBoot: name.endsWith(".boot.test.ts"),
    limitSeconds: statedLimit(file),
    withLibreswan: hasLine(file, "// with libreswan"),
  };
};

/**
 * A scenario that needs longer says so in a line of its own, `// limit: 300 seconds`, and for the full number of attempts
 * in another, `// full limit: 3600 seconds`.
 */
const statedLimit = (file: string): number => {
  const text = readFileSync(file, "utf8");
  const usual = Number(/^\/\/ limit: (\d+) seconds$/m.exec(text)?.[1] ?? usualLimitSeconds);
  return attempts({ usual, full: Number(/^\/\/ full limit: (\d+) seconds$/m.exec(text)?.[1] ?? usual) });
};

const usualLimitSeconds = 120;
