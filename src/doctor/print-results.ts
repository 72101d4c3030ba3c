import { styleText } from "node:util";
import { type CheckResult, type CheckVerdict, checkNames } from "./check-result.ts";

/** In the order of the checks; failures of a check before what is well. */
export const inOrder = (results: readonly CheckResult[]): readonly CheckResult[] =>
  results.toSorted(
    (one, other) =>
      checkNames.indexOf(one.name) - checkNames.indexOf(other.name) ||
      severity.indexOf(one.verdict) - severity.indexOf(other.verdict),
  );

const severity = ["failure", "warning", "skipped", "ok"] as const satisfies readonly CheckVerdict[];

/** The results for people: a line each, its remedy below it, and a summary. */
export const printResults = (results: readonly CheckResult[], hasColors: boolean): string => {
  const colour = (text: string, format: Format): string =>
    hasColors ? styleText(format, text, { validateStream: false }) : text;
  const lines = results.flatMap(({ name, verdict, message, hint }) => [
    `${colour(verdict.padEnd(verdictWidth), colourOf[verdict])}${name}: ${printable(message)}`,
    ...(hint === undefined || verdict === "ok" ? [] : [`${" ".repeat(verdictWidth)}${printable(hint)}`]),
  ]);
  return `${lines.join("\n")}\n\n${summary(results)}\n`;
};

/** What is asked for by scripts; `version` grows when a field goes or changes its meaning. */
export const describeResults = (results: readonly CheckResult[]) => ({
  version: 1 as const,
  healthy: isHealthy(results),
  results,
});

export const isHealthy = (results: readonly CheckResult[]): boolean =>
  results.every(({ verdict }) => verdict !== "failure");

type Format = "red" | "yellow" | "green" | "dim";

const colourOf = {
  ok: "green",
  warning: "yellow",
  failure: "red",
  skipped: "dim",
} as const satisfies Record<CheckVerdict, Format>;

const verdictWidth = 9;

const summary = (results: readonly CheckResult[]): string => {
  const count = (verdict: CheckVerdict): number => results.filter((one) => one.verdict === verdict).length;
  const counted = (verdict: "failure" | "warning"): readonly string[] => {
    const number = count(verdict);
    return number === 0 ? [] : [`${number} ${verdict}${number === 1 ? "" : "s"}`];
  };
  const found = [...counted("failure"), ...counted("warning")];
  return found.length === 0 ? "nothing is wrong that can be seen from here" : found.join(", ");
};

/** A peer's words must not move the cursor of a terminal. */
const printable = (text: string): string => text.replace(/\p{Cc}/gu, "?");
