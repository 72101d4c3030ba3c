import type { AddressFamily } from "../ipsec/address.ts";
import type { RunProgram } from "./run-program.ts";

/** A route of the main table, as far as it matters here; see ip-route(8). */
export type Route = {
  readonly family: AddressFamily;
  /** A network, or `default`. */
  readonly destination: string;
  readonly gateway?: string;
  readonly device?: string;
  readonly source?: string;
  readonly metric?: number;
  /** What it says of the path, where it does. */
  readonly mtu?: number;
  /** Who made it: a name or number of rtnetlink(7); absent for whoever said nothing. */
  readonly protocol?: string;
  /** The gateway counts as directly reachable, though no address says so. */
  readonly isOnLink?: true;
};

/** What the host is like before anything is changed. */
export type HostState = { readonly mainRoutes: readonly Route[] };

export const inspectHost = async (runProgram: RunProgram): Promise<HostState> => {
  const families = [
    ["ipv4", "-4"],
    ["ipv6", "-6"],
  ] as const;
  const routes = await Promise.all(
    families.map(async ([family, flag]) => {
      const { exitCode, stdout } = await runProgram(["ip", flag, "-json", "route", "show", "table", "main"]);
      // A kernel without IPv6 answers with an error; it has no routes of that family either.
      return exitCode === 0 ? parseRoutes(stdout, family) : [];
    }),
  );
  return { mainRoutes: routes.flat() };
};

type IpHop = { readonly gateway?: string; readonly dev?: string; readonly flags?: readonly string[] };

type IpRoute = IpHop & {
  readonly dst?: string;
  readonly prefsrc?: string;
  readonly metric?: number;
  readonly metrics?: readonly { readonly mtu?: number }[];
  readonly protocol?: string;
  /** Of a route that has several. */
  readonly nexthops?: readonly IpHop[];
};

const parseRoutes = (json: string, family: AddressFamily): readonly Route[] =>
  (JSON.parse(json === "" ? "[]" : json) as readonly IpRoute[]).map((route) => {
    const { gateway, dev, flags } = route.nexthops?.[0] ?? route;
    const mtu = route.metrics?.find((one) => one.mtu !== undefined)?.mtu;
    return {
      family,
      destination: route.dst ?? "default",
      ...(gateway === undefined ? {} : { gateway }),
      ...(dev === undefined ? {} : { device: dev }),
      ...(route.prefsrc === undefined ? {} : { source: route.prefsrc }),
      ...(route.metric === undefined ? {} : { metric: route.metric }),
      ...(mtu === undefined ? {} : { mtu }),
      ...(route.protocol === undefined ? {} : { protocol: route.protocol }),
      ...(flags?.includes("onlink") ? { isOnLink: true } : {}),
    };
  });
