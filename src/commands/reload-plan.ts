import { isDeepStrictEqual } from "node:util";
import type { HostRoute } from "../gateway/gateway.ts";
import type { VariableName } from "../settings/variables.ts";
import type { ReloadPlan } from "../status/reload-report.ts";
import type { PlannedGateway } from "./planned-gateway.ts";
import type { ReloadDifference } from "./reload-difference.ts";

/** A difference as it is told: names instead of models, and what it means for the host. */
export const describeReload = (
  previous: PlannedGateway,
  next: PlannedGateway,
  difference: ReloadDifference,
): ReloadPlan => {
  const { restart, variables } = difference;
  const [oldRoutes, newRoutes] = [previous.gateway.hostRoutes, next.gateway.hostRoutes];
  const interfaces = new Map(previous.gateway.virtualInterfaces.map((one) => [one.name, one]));
  const wanted = next.gateway.virtualInterfaces;
  return {
    added: names(difference.added),
    changed: names(difference.changed.map(({ to }) => to)),
    withOtherKey: names(difference.withOtherKey),
    removed: names(difference.removed),
    unchanged: difference.unchanged.length,
    ...(restart === undefined ? {} : { restart }),
    mounted: next.manual,
    routes: { added: without(newRoutes, oldRoutes), removed: without(oldRoutes, newRoutes) },
    virtualInterfaces: {
      added: names(wanted.filter(({ name }) => !interfaces.has(name))),
      changed: names(
        wanted.filter((one) => {
          const old = interfaces.get(one.name);
          return old !== undefined && !isDeepStrictEqual(old, one);
        }),
      ),
      removed: [...interfaces.keys()].filter((name) => !wanted.some((one) => one.name === name)),
    },
    variables,
    atNextStart: variables.filter((name) => readOnce.has(name)),
  };
};

/** What decides things that a running gateway holds on to. */
const readOnce: ReadonlySet<VariableName> = new Set(["IPSEC_DATAPLANE", "LOG_FORMAT"]);

const names = (things: readonly { readonly name: string }[]): readonly string[] =>
  things.map(({ name }) => name);

const without = (routes: readonly HostRoute[], others: readonly HostRoute[]): readonly string[] => {
  const known = new Set(others.map(({ network }) => network.text));
  return routes.map(({ network }) => network.text).filter((network) => !known.has(network));
};
