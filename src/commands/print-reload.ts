import { isEmpty, type ReloadPlan, type ReloadReport } from "../status/reload-report.ts";
import type { Output } from "./context.ts";

/** Prints for people what came of a reload, or what would. */
export const printReload = ({ outcome, plan }: ReloadReport, output: Pick<Output, "write">): void => {
  output.write(`${plan !== undefined && outcome === "planned" ? intention(plan) : results[outcome]}\n`);
  if (plan === undefined) return;
  for (const [what, things] of rows(plan))
    if (things.length > 0) output.write(`  ${what.padEnd(columnWidth)}  ${things.join(", ")}\n`);
};

const columnWidth = 17;

const results: Readonly<Record<ReloadReport["outcome"], string>> = {
  planned: "a reload would change nothing",
  unchanged: "reloaded: nothing has changed",
  reloaded: "reloaded",
  restarted: "reloaded: charon starts anew, and every tunnel with it",
  "rolled-back": "reloaded, but for what charon refused",
  refused: "not reloaded: nothing was changed, the gateway goes on as before",
  stopping: "not reloaded: the gateway stops",
};

const intention = (plan: ReloadPlan): string => {
  if (isEmpty(plan)) return results.planned;
  return plan.restart === undefined
    ? "a reload would change this"
    : "a reload would change this, and start charon anew, and every tunnel with it";
};

const rows = (plan: ReloadPlan): readonly (readonly [string, readonly string[]])[] => {
  const { routes, virtualInterfaces: interfaces, atNextStart, restart } = plan;
  return [
    ["added", plan.added],
    ["changed", plan.changed],
    ["with another key", plan.withOtherKey],
    ["removed", plan.removed],
    ["as before", plan.unchanged === 0 ? [] : [`${plan.unchanged}`]],
    ["mounted", plan.mounted ? ["strongSwan reads what is mounted again"] : []],
    ["charon anew", restart === undefined ? [] : [restart]],
    ["routes added", routes.added],
    ["routes removed", routes.removed],
    ["interfaces added", interfaces.added],
    ["… changed", interfaces.changed],
    ["… no longer used", interfaces.removed],
    ["packet rules", plan.packetRules],
    ["variables", plan.variables.filter((name) => !atNextStart.includes(name))],
    ["at the next start", atNextStart],
  ];
};
