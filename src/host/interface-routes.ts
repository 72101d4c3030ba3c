import { isVirtualInterfaceName, type VirtualInterface } from "../gateway/virtual-interface.ts";
import type { Address } from "../ipsec/address.ts";
import { isDefaultRoute, type Network, networkOfHost, overlaps, parseNetwork } from "../ipsec/network.ts";
import type { Route } from "./inspect.ts";
import type { Argv, Step } from "./step.ts";

/**
 * The routes over an interface. One for everything is made of two halves, which come before the default route that a
 * host has whatever its metric, and leave it as it is.
 */
export const routesOver = ({ routes }: VirtualInterface): readonly Network[] =>
  routes.flatMap((route) => (isDefaultRoute(route) ? halves[route.family] : [route]));

const half = (family: Network["family"], text: string): Network => ({ family, text, prefixLength: 1 });

const halves = {
  ipv4: [half("ipv4", "0.0.0.0/1"), half("ipv4", "128.0.0.0/1")],
  ipv6: [half("ipv6", "::/1"), half("ipv6", "8000::/1")],
};

/**
 * Whether the tunnel's own packets would be led into the tunnel: by the routes that are wanted over the interface, or by
 * those that are there already, perhaps for another tunnel.
 */
export const takesPeers = (wanted: VirtualInterface, present: readonly string[]): boolean => {
  const over = [...routesOver(wanted), ...present.flatMap((text) => networkIn(text))];
  return knownPeers(wanted).some((peer) => longestWith(over, peer) !== undefined);
};

/**
 * Routes for the tunnel's own packets, IKE and ESP, to peers that a route over the interface would take: the way they
 * have without it. They have a protocol of their own, by which they are known when that way changes.
 */
export const planPeerRoutes = (wanted: VirtualInterface, mainRoutes: readonly Route[]): readonly Step[] =>
  knownPeers(wanted).flatMap((peer) => planPeerRoute(wanted, peer, mainRoutes));

const knownPeers = ({ peers }: VirtualInterface): readonly Address[] =>
  peers.flatMap((peer) => (peer.kind === "address" ? [peer.address] : []));

const planPeerRoute = (
  wanted: VirtualInterface,
  peer: Address,
  mainRoutes: readonly Route[],
): readonly Step[] => {
  const present = mainRoutes.filter(({ device }) => device === wanted.name);
  const over = [...routesOver(wanted), ...present.flatMap(networkOf)];
  const taken = longestWith(over, peer);
  const ours = mainRoutes.find(
    ({ destination, protocol }) => destination === peer.text && protocol === ownProtocol,
  );
  const [way] = mainRoutes
    .filter((route) => route !== ours && route.device !== undefined && !isVirtualInterfaceName(route.device))
    .filter((route) => longestWith(networkOf(route), peer) !== undefined)
    .toSorted((one, other) => lengthOf(other) - lengthOf(one) || (one.metric ?? 0) - (other.metric ?? 0));
  if (taken === undefined || way === undefined || lengthOf(way) > taken) return [];
  if (ours !== undefined && isSameWay(ours, way)) return [];
  const why = `route ${peer.text} around ${wanted.name}, so that the tunnel's own packets stay out of it`;
  const argv = (verb: string, to: Route): Argv => ["ip", "route", verb, ...routeWords(peer, to)];
  return ours === undefined
    ? [{ why, argv: argv("add", way), undo: ["ip", "route", "delete", peer.text, "proto", ownProtocol] }]
    : [{ why, argv: argv("replace", way), undo: argv("replace", ours) }];
};

/** rtnetlink(7) leaves the numbers above those that it names to whoever routes; this is ESP's as a protocol of IP. */
const ownProtocol = "50";

/** The longest prefix among the networks that have the address in them. */
const longestWith = (networks: readonly Network[], address: Address): number | undefined => {
  const host = networkOfHost(address);
  const lengths = networks.filter((one) => overlaps(one, host)).map((one) => one.prefixLength);
  return lengths.length === 0 ? undefined : Math.max(...lengths);
};

const lengthOf = (route: Route): number => networkOf(route)[0]?.prefixLength ?? 0;

const networkOf = ({ destination, family }: Route): readonly Network[] =>
  networkIn(destination === "default" ? { ipv4: "0.0.0.0/0", ipv6: "::/0" }[family] : destination);

/** None for what iproute2 prints in words. */
const networkIn = (text: string): readonly Network[] => {
  const parsed = parseNetwork(text);
  return parsed.ok ? [parsed.value.network] : [];
};

const isSameWay = (one: Route, other: Route): boolean =>
  one.gateway === other.gateway &&
  one.device === other.device &&
  one.source === other.source &&
  one.mtu === other.mtu;

const routeWords = (peer: Address, { gateway, device, source, isOnLink, mtu }: Route): readonly string[] => [
  peer.text,
  ...(gateway === undefined ? [] : ["via", gateway]),
  ...["dev", device ?? ""],
  ...(isOnLink ? ["onlink"] : []),
  ...(source === undefined ? [] : ["src", source]),
  ...["proto", ownProtocol],
  ...(mtu === undefined ? [] : ["mtu", String(mtu)]),
];
