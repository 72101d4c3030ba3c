import { isDeepStrictEqual } from "node:util";
import type { Charon } from "../daemon/charon.ts";
import type { Refusal } from "../daemon/load-connections.ts";
import { restoreFormer } from "../daemon/reload.ts";
import { exitCodes, Failure, type Problem } from "../failure.ts";
import { requireVirtualInterfaces } from "../host/keep-virtual-interfaces.ts";
import { isEmpty, type ReloadPlan, type ReloadReport } from "../status/reload-report.ts";
import type { StatusServer } from "../status/serve.ts";
import { ViciError } from "../vici/vici-error.ts";
import { logLevel, logProblems, logWarnings } from "./command-log.ts";
import type { Context } from "./context.ts";
import { followReload } from "./follow-reload.ts";
import { type InstallParts, prepareInstall } from "./install-plan.ts";
import { keepFormer } from "./keep-former.ts";
import { inspectSettings, requireSettings } from "./load-settings.ts";
import { type PlannedGateway, planGateway } from "./planned-gateway.ts";
import { type ReloadDifference, reloadDifference } from "./reload-difference.ts";
import { describeReload } from "./reload-plan.ts";
import { problemOf, refusedBecause, stopping } from "./reload-reports.ts";
import { requireMachine } from "./require-machine.ts";

export type PlanParts = InstallParts & { readonly context: Pick<Context, "environment" | "control"> };

type ReloadParts = PlanParts & { readonly server: Pick<StatusServer, "listenAt"> };

type Reloaded = {
  /** What it means for charon. */
  readonly effect: "changed" | "restart" | "unchanged";
  readonly report: ReloadReport;
};

/** Tells what a reload would do, with everything that would keep it from being done, and changes nothing. */
export const planReload = async (parts: PlanParts): Promise<ReloadReport> => {
  try {
    const { warnings, told } = await readNext(parts);
    return { outcome: "planned", exitCode: exitCodes.ok, errors: [], warnings, plan: told };
  } catch (error) {
    return refusedBecause(error);
  }
};

/** Reads everything again and has the host and charon follow. What is wrong changes nothing. */
export const reloadGateway = async (charon: Charon, parts: ReloadParts): Promise<Reloaded> => {
  const { running, context, server, effects } = parts;
  const { log } = effects;
  const previous = running.plan;
  let next: Next;
  try {
    next = await readNext(parts, (files) => {
      running.files = files;
    });
    logWarnings(log, next.warnings);
    await server.listenAt(next.plan.settings.gateway.IPSEC_HTTP_LISTEN);
    if (context.control.isStopping()) return { effect: "unchanged", report: stopping };
    await next.install();
    log.level = logLevel(next.plan.settings);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    logProblems(log, error);
    await server.listenAt(previous.settings.gateway.IPSEC_HTTP_LISTEN);
    log.error({ event: "reload-refused" }, "nothing was changed: the gateway goes on as before");
    return { effect: "unchanged", report: refusedBecause(error) };
  }
  return await follow(charon, previous, next, parts);
};

type Next = {
  readonly plan: PlannedGateway;
  readonly difference: ReloadDifference;
  readonly told: ReloadPlan;
  readonly warnings: readonly Problem[];
  readonly install: () => Promise<void>;
};

/** Changes nothing. Throws a Failure that tells all that is wrong, as at the start. */
const readNext = async (
  parts: PlanParts,
  tellFiles: (files: InstallParts["running"]["files"]) => void = () => {},
): Promise<Next> => {
  const { context, running, effects, withInit } = parts;
  const previous = running.plan;
  const inspected = await inspectSettings(context.environment, "gateway", running.memory);
  tellFiles(inspected.files);
  const { settings, warnings } = requireSettings(inspected);
  requireMachine(context, settings);
  const plan = await planGateway(settings, previous.dataplane, effects.runProgram);
  const { virtualInterfaces } = plan.gateway;
  if (!withInit && !isDeepStrictEqual(previous.gateway.virtualInterfaces, virtualInterfaces))
    await requireVirtualInterfaces(virtualInterfaces, effects);
  const difference = reloadDifference(previous, plan);
  return {
    plan,
    difference,
    told: describeReload(previous, plan, difference),
    warnings,
    install: await prepareInstall(plan, parts),
  };
};

const follow = async (
  charon: Charon,
  previous: PlannedGateway,
  { plan, difference, told, warnings }: Next,
  parts: ReloadParts,
): Promise<Reloaded> => {
  const { effects, context } = parts;
  const { log } = effects;
  const report = { exitCode: exitCodes.ok, errors: [], warnings, plan: told };
  try {
    const { effect, refused } = await followReload(charon, plan, difference, effects);
    if (refused.length > 0) {
      await rollBack(charon, previous, plan, refused, parts);
      const failed = { outcome: "rolled-back", exitCode: exitCodes.unavailable } as const;
      return {
        effect,
        report: { ...report, ...failed, errors: refused.map((one) => problemOf(one, told)) },
      };
    }
    log.info({ event: "reloaded", ...recordOf(told) }, messages[effect]);
    if (effect === "restart") return { effect, report: { ...report, outcome: "restarted" } };
    return { effect, report: { ...report, outcome: isEmpty(told) ? "unchanged" : "reloaded" } };
  } catch (error) {
    if (!(error instanceof Failure || error instanceof ViciError)) throw error;
    if (context.control.isStopping()) return { effect: "changed", report: stopping };
    const reason = error.message;
    log.warn({ event: "reloaded", reason }, "charon did not follow the reload and starts anew");
    const restart = `it did not follow: ${reason}`;
    return { effect: "restart", report: { ...report, outcome: "restarted", plan: { ...told, restart } } };
  }
};

/** Puts back what charon refused: on the disk, in memory, on the host, and in charon. */
const rollBack = async (
  charon: Charon,
  previous: PlannedGateway,
  next: PlannedGateway,
  refused: readonly Refusal[],
  parts: ReloadParts,
): Promise<void> => {
  const { effects } = parts;
  const names = new Set(refused.map(({ connection }) => connection.name));
  const kept = await keepFormer(previous, next, names, effects.runProgram);
  await (await prepareInstall(kept, parts))();
  const { connections } = kept.gateway;
  const former = connections.filter(({ name }) => names.has(name));
  const { backend } = kept;
  await restoreFormer(charon, refused, { former, wanted: connections }, { ...effects, backend });
};

const recordOf = ({ added, changed, withOtherKey, removed, restart }: ReloadPlan) => ({
  connections: [...added, ...changed, ...withOtherKey],
  removed,
  reason: restart,
});

const messages = {
  changed: "reloaded",
  restart: "the reload needs charon to start anew",
  unchanged: "reloaded: no connection has changed",
} as const;
