import { isDeepStrictEqual } from "node:util";
import { renderCharonConf } from "../backend/charon-conf.ts";
import type { Templates } from "../backend/templates.ts";
import type { Change, Difference } from "../daemon/reload.ts";
import type { Connection } from "../gateway/gateway.ts";
import { loadTemplates } from "../load-templates.ts";
import type { VariableName } from "../settings/variables.ts";
import { definitionOf, variableNames } from "../settings/variables.ts";
import { charonConf, connectionTexts, type PlannedGateway, textWithoutKey } from "./planned-gateway.ts";

/** What a reload from one plan to another would do. */
export type ReloadDifference = Difference & {
  readonly unchanged: readonly Connection[];
  /** Why charon must start anew, which loads everything again; absent when it need not. */
  readonly restart?: string;
  /** charon's own settings differ, and it can read them again. */
  readonly rereadsSettings: boolean;
  /** Variables of the whole gateway with another value. */
  readonly variables: readonly VariableName[];
};

/** Compares what is written of each connection: what strongSwan would not see is no difference. */
export const reloadDifference = (previous: PlannedGateway, next: PlannedGateway): ReloadDifference => {
  const [oldTexts, newTexts] = [connectionTexts(previous), connectionTexts(next)];
  const old = new Map(previous.gateway.connections.map((connection) => [connection.name, connection]));
  const templates = loadTemplates();
  const withoutKey = (plan: PlannedGateway, connection: Connection): string =>
    textWithoutKey(plan, connection, templates);
  const added: Connection[] = [];
  const changed: Change[] = [];
  const withOtherKey: Connection[] = [];
  const unchanged: Connection[] = [];
  for (const to of next.gateway.connections) {
    const from = old.get(to.name);
    if (from === undefined) added.push(to);
    else if (oldTexts.get(to.name) === newTexts.get(to.name)) unchanged.push(to);
    else if (withoutKey(previous, from) === withoutKey(next, to)) withOtherKey.push(to);
    else changed.push({ from, to });
  }
  const restart = reasonToRestart(previous, next, templates);
  return {
    added,
    changed,
    withOtherKey,
    unchanged,
    removed: previous.gateway.connections.filter(({ name }) => !newTexts.has(name)),
    ...(restart === undefined ? {} : { restart }),
    rereadsSettings: charonConf(previous) !== charonConf(next),
    variables: variableNames.filter(
      (name) =>
        definitionOf(name).scope === "gateway" &&
        !isDeepStrictEqual(gatewayValue(previous, name), gatewayValue(next, name)),
    ),
  };
};

const gatewayValue = ({ settings }: PlannedGateway, name: VariableName): unknown =>
  (settings.gateway as Readonly<Record<string, unknown>>)[name];

/** What charon reads only when it starts; its log levels and what it asks of certificates it reads again on request. */
const reasonToRestart = (
  previous: PlannedGateway,
  next: PlannedGateway,
  templates: Templates,
): string | undefined => {
  if (next.backend !== previous.backend) return "IPSEC_BACKEND is another";
  if (next.manual !== previous.manual) return "IPSEC_USE_MANUAL_CONFIG is another";
  const old = charonConf(previous);
  if ((old === undefined) !== (charonConf(next) === undefined)) return "IPSEC_MANUAL_CHARON is another";
  if (old === undefined) return undefined;
  const quietly = renderCharonConf(
    next.backend,
    { ...next.gateway, debug: previous.gateway.debug, revocation: previous.gateway.revocation },
    { dataplane: next.dataplane, templates },
  );
  if (quietly.text === old) return undefined;
  return isDeepStrictEqual(previous.gateway.interfaces, next.gateway.interfaces)
    ? "charon installs routes only where there is no virtual interface"
    : "IPSEC_INTERFACES is another";
};
