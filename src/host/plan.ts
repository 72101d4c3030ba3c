import { exitCodes, Failure } from "../failure.ts";
import type { HostRoute } from "../gateway/gateway.ts";
import type { AddressFamily } from "../ipsec/address.ts";
import type { HostState, Route } from "./inspect.ts";
import { iprouteDestination } from "./iproute-destination.ts";
import type { Argv, Step } from "./step.ts";

/**
 * Routes to the remote networks in the main table, through the default gateway. They lead nowhere by themselves:
 * they give packets our source address and an output interface, and there IPsec policies take them over.
 */
export const planHostRoutes = (routes: readonly HostRoute[], host: HostState): readonly Step[] =>
  routes.flatMap((route) => {
    const gateway = host.mainRoutes.find(
      (candidate) => candidate.destination === "default" && candidate.family === route.network.family,
    );
    if (gateway?.device === undefined) throw noDefaultRoute(route);
    const argv = routeArguments(route, gateway);
    return isThere(route, gateway, host)
      ? []
      : [
          {
            why: `add the route to ${route.network.text} to the main table`,
            argv: ["ip", "route", "add", ...argv] as Argv,
            undo: ["ip", "route", "del", ...argv] as Argv,
          },
        ];
  });

/** The command as it can be told before the host is seen: the default gateway is looked up when it runs. */
export const hostRouteCommand = (route: HostRoute): Argv => [
  "ip",
  "route",
  "add",
  ...routeArguments(route, someDefaultRoute(route.network.family)),
];

/** In the place of the one that is looked up when a command runs. */
export const someDefaultRoute = (family: AddressFamily): Route => ({
  family,
  destination: "default",
  gateway: "DEFAULT_GATEWAY",
  device: "ITS_INTERFACE",
});

/** The network whose route such a command takes back; undefined for other commands. */
export const hostRouteUndo = ([program, object, verb, network]: Argv): string | undefined =>
  program === "ip" && object === "route" && verb === "del" ? network : undefined;

const routeArguments = (route: HostRoute, gateway: Route): readonly string[] => [
  route.network.text,
  ...(gateway.gateway === undefined ? [] : ["via", gateway.gateway]),
  "dev",
  gateway.device as string,
  ...sourceOf(route),
];

/** A source address must be of the route's family; `%any` leaves the choice to the kernel. */
const sourceOf = (route: HostRoute): readonly string[] =>
  route.source.kind === "address" && route.source.address.family === route.network.family
    ? ["src", route.source.address.text]
    : [];

const isThere = (route: HostRoute, gateway: Route, host: HostState): boolean =>
  host.mainRoutes.some(
    (present) =>
      present.destination === iprouteDestination(route.network) &&
      present.gateway === gateway.gateway &&
      present.device === gateway.device &&
      (sourceOf(route).length === 0 || present.source === sourceOf(route)[1]),
  );

const noDefaultRoute = (route: HostRoute): Failure =>
  new Failure(
    [
      {
        variable: "SET_ROUTE_DEFAULT_TABLE",
        message: `SET_ROUTE_DEFAULT_TABLE: there is no default ${route.network.family === "ipv4" ? "IPv4" : "IPv6"} route for ${route.network.text} to follow`,
        hint: "give the host a default route, or set SET_ROUTE_DEFAULT_TABLE=no",
      },
    ],
    exitCodes.unavailable,
  );
