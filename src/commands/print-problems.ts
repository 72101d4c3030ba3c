import { styleText } from "node:util";
import type { Problem } from "../failure.ts";
import type { Output } from "./context.ts";

/** Prints errors and warnings for people, each with its hint on a line of its own. */
export const printProblems = (
  severity: "error" | "warning",
  problems: readonly Problem[],
  output: Output,
): void => {
  const colour = (text: string, format: "red" | "yellow" | "dim"): string =>
    output.hasColors ? styleText(format, text, { validateStream: false }) : text;
  const label = colour(`${severity}:`, severity === "error" ? "red" : "yellow");
  for (const { message, hint } of problems.slice(0, maximumProblems)) {
    output.write(`vnf-ipsec: ${label} ${message}\n`);
    if (hint !== undefined) output.write(`vnf-ipsec: ${colour("hint:", "dim")} ${hint}\n`);
  }
  if (problems.length > maximumProblems) {
    output.write(`vnf-ipsec: ${label} and ${problems.length - maximumProblems} more\n`);
  }
};

/** Keeps the output of any environment, however hostile, below what a log collector takes. */
const maximumProblems = 50;
