import { renderCharonConf } from "../backend/charon-conf.ts";
import type { Charon } from "../daemon/charon.ts";
import { followFiles, followManualFiles } from "../daemon/reload.ts";
import type { Connection } from "../gateway/gateway.ts";
import type { RunProgram } from "../host/run-program.ts";
import { loadTemplates } from "../load-templates.ts";
import type { Log } from "../observe/log.ts";
import { charonConf, connectionFile, connectionText, type PlannedGateway } from "./planned-gateway.ts";

export type ReloadEffect = "changed" | "restart" | "unchanged";

/** Has charon follow files that have been written: only the connections that differ are touched. */
export const followReload = async (
  charon: Charon,
  previous: PlannedGateway,
  next: PlannedGateway,
  effects: { readonly runProgram: RunProgram; readonly log: Log },
): Promise<ReloadEffect> => {
  const { log, runProgram } = effects;
  if (next.manual !== previous.manual || charonNeedsRestart(previous, next)) {
    log.info({ event: "reloaded" }, "the reload needs charon to start anew");
    return "restart";
  }
  if (charonConf(previous) !== charonConf(next)) await charon.vici.request("reload-settings");
  if (next.manual) {
    await followManualFiles(charon, runProgram);
    log.info({ event: "reloaded" }, "reloaded the mounted configuration");
    return "changed";
  }
  const same = new Set(
    next.gateway.connections
      .filter((one) => connectionText(previous, one) === connectionText(next, one))
      .map((one) => one.name),
  );
  const outdated = previous.gateway.connections.filter((one) => !same.has(one.name));
  const changed = next.gateway.connections.filter((one) => !same.has(one.name));
  if (outdated.length === 0 && changed.length === 0) {
    log.info({ event: "reloaded" }, "reloaded: no connection has changed");
    return "unchanged";
  }
  const isKeptButItsKey = (one: Connection): boolean =>
    connectionFile(previous, one) === connectionFile(next, one);
  await followFiles(
    charon,
    {
      connections: outdated.filter((one) => !isKeptButItsKey(one)),
      keys: outdated.filter(isKeptButItsKey),
    },
    next.gateway.connections,
    effects,
  );
  log.info({ event: "reloaded", connections: changed.map((one) => one.name) }, "reloaded");
  return "changed";
};

/** What charon reads only when it starts; its log levels it reads again on request. */
const charonNeedsRestart = (previous: PlannedGateway, next: PlannedGateway): boolean => {
  const old = charonConf(previous);
  if (old === undefined) return charonConf(next) !== undefined;
  const quietly = renderCharonConf(
    { ...next.gateway, debug: previous.gateway.debug },
    next.dataplane,
    loadTemplates(),
  );
  return quietly.text !== old;
};
