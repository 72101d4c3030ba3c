import type { Refusal } from "../daemon/load-connections.ts";
import { exitCodes, Failure, type Problem } from "../failure.ts";
import type { ReloadPlan, ReloadReport } from "../status/reload-report.ts";

/** What is told where nothing was changed; what is no Failure is thrown again. */
export const refusedBecause = (error: unknown): ReloadReport => {
  if (!(error instanceof Failure)) throw error;
  const { exitCode, problems: errors, warnings } = error;
  return { outcome: "refused", exitCode, errors, warnings };
};

/** What whoever waits is told when a stop comes first. */
export const stopping: ReloadReport = {
  outcome: "stopping",
  exitCode: exitCodes.unavailable,
  errors: [{ message: "the gateway stops", hint: "what it reads at its next start is what is there then" }],
  warnings: [],
};

/** A connection that charon does not take, as a problem. */
export const problemOf = ({ connection: { name }, reason }: Refusal, { added }: ReloadPlan): Problem => ({
  message: `${name} ${added.includes(name) ? "is left out" : "stays as it was before"}: ${reason}`,
  hint: "charon's lines in the log tell why",
});
