import { isDeepStrictEqual } from "node:util";
import type { HostRoute } from "../gateway/gateway.ts";
import type { Settings } from "../settings/settings.ts";
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
    packetRules: withOtherPacketRules(previous.settings, next.settings),
    variables,
    atNextStart: variables.filter((name) => readOnce.has(name)),
  };
};

/** What decides things that a running gateway holds on to. */
const readOnce: ReadonlySet<VariableName> = new Set(["IPSEC_DATAPLANE", "LOG_FORMAT"]);

/** The tunnels that were there with other words on their packets; what follows from other networks is told elsewhere. */
const withOtherPacketRules = (previous: Settings, { tunnels }: Settings): readonly string[] => {
  const former = new Map(previous.tunnels.map((tunnel) => [tunnel.IPSEC_NAME, tunnel]));
  return tunnels
    .filter(({ IPSEC_NAME, IPSEC_MSS, IPSEC_NAT_EXEMPT }) => {
      const old = former.get(IPSEC_NAME);
      return old !== undefined && (old.IPSEC_MSS !== IPSEC_MSS || old.IPSEC_NAT_EXEMPT !== IPSEC_NAT_EXEMPT);
    })
    .map(({ IPSEC_NAME: name }) => name);
};

const names = (things: readonly { readonly name: string }[]): readonly string[] =>
  things.map(({ name }) => name);

const without = (routes: readonly HostRoute[], others: readonly HostRoute[]): readonly string[] => {
  const known = new Set(others.map(({ network }) => network.text));
  return routes.map(({ network }) => network.text).filter((network) => !known.has(network));
};
