import { renderCharonConf } from "../backend/charon-conf.ts";
import type { Charon } from "../daemon/charon.ts";
import { followConnections, followMounted } from "../daemon/reload.ts";
import type { Connection } from "../gateway/gateway.ts";
import type { RunProgram } from "../host/run-program.ts";
import { loadTemplates } from "../load-templates.ts";
import type { Log } from "../observe/log.ts";
import {
  charonConf,
  connectionText,
  connectionTextWithoutKey,
  type PlannedGateway,
} from "./planned-gateway.ts";

export type ReloadEffect = "changed" | "restart" | "unchanged";

/** Has charon follow files that have been written: only the connections that differ are touched. */
export const followReload = async (
  charon: Charon,
  previous: PlannedGateway,
  next: PlannedGateway,
  effects: { readonly runProgram: RunProgram; readonly log: Log },
): Promise<ReloadEffect> => {
  const { log, runProgram } = effects;
  const { backend } = next;
  if (backend !== previous.backend || next.manual !== previous.manual || charonNeedsRestart(previous, next)) {
    log.info({ event: "reloaded" }, "the reload needs charon to start anew");
    return "restart";
  }
  if (charonConf(previous) !== charonConf(next)) await charon.vici.request("reload-settings");
  if (next.manual) {
    await followMounted(charon, { backend, runProgram });
    log.info({ event: "reloaded" }, "reloaded the mounted configuration");
    return "changed";
  }
  const same = new Set(
    next.gateway.connections
      .map(({ name }) => name)
      .filter((name) => connectionText(previous, name) === connectionText(next, name)),
  );
  const outdated = previous.gateway.connections.filter((one) => !same.has(one.name));
  const changed = next.gateway.connections.filter((one) => !same.has(one.name));
  if (outdated.length === 0 && changed.length === 0) {
    log.info({ event: "reloaded" }, "reloaded: no connection has changed");
    return "unchanged";
  }
  const isKeptButItsKey = ({ name }: Connection): boolean =>
    connectionTextWithoutKey(previous, name) === connectionTextWithoutKey(next, name);
  await followConnections(
    charon,
    {
      outdated: outdated.filter((one) => !isKeptButItsKey(one)),
      withOtherKey: changed.filter(isKeptButItsKey),
      changed: changed.filter((one) => !isKeptButItsKey(one)),
      wanted: next.gateway.connections,
    },
    { ...effects, backend },
  );
  log.info({ event: "reloaded", connections: changed.map((one) => one.name) }, "reloaded");
  return "changed";
};

/** What charon reads only when it starts; its log levels it reads again on request. */
const charonNeedsRestart = (previous: PlannedGateway, next: PlannedGateway): boolean => {
  const old = charonConf(previous);
  if (old === undefined) return charonConf(next) !== undefined;
  const quietly = renderCharonConf(
    next.backend,
    { ...next.gateway, debug: previous.gateway.debug },
    { dataplane: next.dataplane, templates: loadTemplates() },
  );
  return quietly.text !== old;
};
