import type { Charon } from "../daemon/charon.ts";
import { Failure } from "../failure.ts";
import type { Effects } from "../host/apply.ts";
import { moveDiscardPolicies } from "../host/discard-policies.ts";
import { planHostRouteMove } from "../host/host-routes.ts";
import type { Secret } from "../secret.ts";
import type { Settings } from "../settings/settings.ts";
import type { StatusServer } from "../status/serve.ts";
import { ViciError } from "../vici/vici-error.ts";
import { logLevel, logProblems, logWarnings } from "./command-log.ts";
import type { Context } from "./context.ts";
import { followReload, type ReloadEffect } from "./follow-reload.ts";
import type { GatewayFiles } from "./gateway-files.ts";
import { loadSettings } from "./load-settings.ts";
import { type PlannedGateway, planGateway } from "./planned-gateway.ts";

/** What a reload replaces. */
export type Running = {
  plan: PlannedGateway;
  /** What no output may show; while a reload is under way, the old ones and the new. */
  secrets: readonly Secret[];
};

export type ReloadParts = {
  readonly context: Context;
  readonly running: Running;
  readonly files: GatewayFiles;
  readonly server: StatusServer;
  readonly effects: Effects;
};

/** Reads everything again and has the host and charon follow. What is wrong changes nothing. */
export const reloadGateway = async (charon: Charon, parts: ReloadParts): Promise<ReloadEffect> => {
  const { running, context, effects } = parts;
  const { control } = context;
  const { log } = effects;
  const previous = running.plan;
  try {
    if (!(await replacePlan(previous, parts))) return "unchanged";
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    logProblems(log, error);
    await parts.server.listenAt(previous.settings.gateway.IPSEC_HTTP_LISTEN);
    log.error({ event: "reload-refused" }, "nothing was changed: the gateway goes on as before");
    return "unchanged";
  }
  try {
    return await followReload(charon, previous, running.plan, effects);
  } catch (error) {
    if (!(error instanceof Failure || error instanceof ViciError)) throw error;
    if (control.isStopping()) return "changed";
    log.warn(
      { event: "reloaded", reason: error.message },
      "charon did not follow the reload and starts anew",
    );
    return "restart";
  }
};

/** False when a stop came between. Throws a Failure, with everything as before, when anything of it cannot be. */
const replacePlan = async (
  previous: PlannedGateway,
  { context, running, files, server, effects }: ReloadParts,
): Promise<boolean> => {
  const { log, runProgram } = effects;
  const { dataplane } = previous;
  const { settings, warnings } = loadSettings(context.environment, "gateway");
  logWarnings(log, warnings);
  const plan = await planGateway(settings, dataplane, runProgram);
  await server.listenAt(settings.gateway.IPSEC_HTTP_LISTEN);
  const moveRoutes = await planHostRouteMove(previous.gateway, plan.gateway, effects);
  if (context.control.isStopping()) return false;
  running.secrets = [...secretsOf(previous.settings), ...secretsOf(settings)];
  const written = files.write(plan);
  try {
    await moveDiscardPolicies(dataplane, plan.gateway, effects);
    await moveRoutes();
  } catch (error) {
    written.rollBack();
    await moveDiscardPolicies(dataplane, previous.gateway, effects);
    throw error;
  }
  written.commit();
  running.plan = plan;
  running.secrets = secretsOf(settings);
  log.level = logLevel(settings);
  return true;
};

export const secretsOf = (settings: Settings): readonly Secret[] =>
  settings.connections.map((connection) => connection.IPSEC_PSK);
