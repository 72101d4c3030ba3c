import type { Address, Endpoint, InterfaceAddress } from "../ipsec/address.ts";
import { type Network, networkOfHost, overlaps } from "../ipsec/network.ts";
import { largestInnerPacket } from "../ipsec/tunnel-overhead.ts";
import type { Values } from "../settings/settings.ts";
import type { PathMtu } from "./path-mtu.ts";

/** An interface whose packets are what tunnels protect. */
export type VirtualInterface = Vti | XfrmInterface;

/** One tunnel between two ends. Its key is the mark of the policies. */
export type Vti = Shared & {
  readonly kind: "vti";
  readonly key: number;
  readonly local: Endpoint;
  readonly remote: Endpoint;
};

/** The tunnels whose policies have its identifier, of either family and to any number of peers. */
export type XfrmInterface = Shared & { readonly kind: "xfrm"; readonly interfaceId: number };

type Shared = {
  readonly name: string;
  readonly addresses: readonly LinkAddress[];
  readonly routes: readonly Network[];
  /** The peers behind it, and others whose own addresses its routes would take. */
  readonly peers: readonly Endpoint[];
  /** `undefined` leaves what the kernel chose. */
  readonly mtu: number | undefined;
};

/** An address of the interface, perhaps with the one at its other end. */
export type LinkAddress = { readonly local: InterfaceAddress; readonly peer?: Address };

export const vtiName = (key: number): string => `vti${key}`;

export const xfrmName = (interfaceId: number): string => `xfrm${interfaceId}`;

/** Whether an interface of that name is one that a gateway makes, this one or another, so that what passes it is in a tunnel. */
export const isVirtualInterfaceName = (name: string): boolean => /^(?:vti|xfrm)\d+$/.test(name);

/** Tells the name of the interface that the packets of a CHILD SA pass; none where its policies take them from all. */
export const interfaceNames = (
  interfaces: readonly VirtualInterface[],
): ((child: Tie | undefined) => string | undefined) => {
  const names = new Map(
    interfaces.map((one) => [
      one.kind === "vti" ? tieText({ mark: one.key }) : tieText({ interfaceId: one.interfaceId }),
      one.name,
    ]),
  );
  return (child) => (child === undefined ? undefined : names.get(tieText(child)));
};

/** What of a CHILD SA ties it to an interface. */
type Tie = { readonly mark?: number; readonly interfaceId?: number };

/** The same for those that are tied to the same one, or to none. */
export const tieText = ({ mark, interfaceId }: Tie): string => `${mark} ${interfaceId}`;

/**
 * Those of one name as one, which has all their addresses, routes and peers, and the smallest MTU. The settings have
 * made sure that they do not contradict each other.
 */
export const joinInterfaces = (interfaces: readonly VirtualInterface[]): readonly VirtualInterface[] => {
  const joined = new Map<string, VirtualInterface>();
  for (const one of interfaces) {
    const other = joined.get(one.name);
    joined.set(one.name, other === undefined ? one : join(other, one));
  }
  return [...joined.values()];
};

const join = (one: VirtualInterface, other: VirtualInterface): VirtualInterface => ({
  ...one,
  addresses: distinct([...one.addresses, ...other.addresses]),
  routes: distinct([...one.routes, ...other.routes]),
  peers: distinct([...one.peers, ...other.peers]),
  mtu: one.mtu === undefined || other.mtu === undefined ? one.mtu : Math.min(one.mtu, other.mtu),
});

/** With the peers of other tunnels that its routes would take. */
export const withPeersTaken = (one: VirtualInterface, everyPeer: readonly Endpoint[]): VirtualInterface => ({
  ...one,
  peers: distinct([
    ...one.peers,
    ...everyPeer.filter((peer) => one.routes.some((route) => contains(route, peer))),
  ]),
});

const contains = (network: Network, peer: Endpoint): boolean =>
  peer.kind === "address" && overlaps(network, networkOfHost(peer.address));

const distinct = <Thing>(things: readonly Thing[]): readonly Thing[] => [
  ...new Map(things.map((thing) => [JSON.stringify(thing), thing])).values(),
];

/** The size of the largest packets that a tunnel takes without having to be fragmented after encryption. */
export const mtuFor = (values: Values, inUdp: boolean, pathMtu: PathMtu): number => {
  const { IPSEC_LOCALIP: local, IPSEC_REMOTEIP: remote, IPSEC_ESPCIPHER: proposals } = values;
  const end = local.kind === "address" ? local : remote;
  const outer = end.kind === "address" ? end.address.family : "ipv4";
  return largestInnerPacket(pathMtu(remote), proposals, { outer, inUdp });
};
