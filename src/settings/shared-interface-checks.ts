import type { Problem } from "../failure.ts";
import { type AddressFamily, endpointText } from "../ipsec/address.ts";
import { isDefaultRoute } from "../ipsec/network.ts";
import type { Values } from "./settings.ts";
import type { VariableName } from "./variables.ts";

/**
 * Tunnels on one XFRM interface give it the addresses and routes of all of them. This finds where they contradict each
 * other: in what it can have only once. It also finds those whose own packets the routes of another would take.
 */
export const checkSharedInterfaces = (tunnels: readonly Values[]): readonly Problem[] => {
  const interfaces = Map.groupBy(tunnels, ({ IPSEC_XFRM_IF_ID: id }) => id);
  return [
    ...[...interfaces].flatMap(([id, sharing]) =>
      id === undefined ? [] : unique.flatMap((one) => contradictions(id, one, sharing)),
    ),
    ...tunnels.flatMap((taking) => waysLost(taking, tunnels)),
  ];
};

type Unique = {
  readonly variable: VariableName;
  /** What a tunnel says of it; undefined for nothing. */
  readonly read: (tunnel: Values) => string | undefined;
};

const contradictions = (
  id: number,
  { variable, read }: Unique,
  sharing: readonly Values[],
): readonly Problem[] => {
  const [first, ...others] = sharing.filter((tunnel) => read(tunnel) !== undefined);
  if (first === undefined) return [];
  return others
    .filter((other) => read(other) !== read(first))
    .map((other) => ({
      variable: `${variable}, IPSEC_XFRM_IF_ID`,
      message: `${variable} is ${read(first)} for ${first.IPSEC_NAME} and ${read(other)} for ${other.IPSEC_NAME}, which share IPSEC_XFRM_IF_ID=${id}`,
      hint: `give both the same ${variable}, or each an IPSEC_XFRM_IF_ID of its own`,
    }));
};

/** As for a tunnel's own peer: the way around takes an address to route. */
const waysLost = (taking: Values, tunnels: readonly Values[]): readonly Problem[] =>
  (taking.IPSEC_XFRM_STATICROUTES ?? []).filter(isDefaultRoute).flatMap((route) =>
    tunnels.flatMap((other) => {
      const { IPSEC_LOCALIP: local, IPSEC_REMOTEIP: remote } = other;
      if (other === taking || remote === undefined || remote.kind === "address") return [];
      if (local?.kind === "address" && local.address.family !== route.family) return [];
      return [
        {
          variable: "IPSEC_XFRM_STATICROUTES, IPSEC_REMOTEIP",
          message: `IPSEC_XFRM_STATICROUTES=${route.text} of ${taking.IPSEC_NAME} would lead the packets to the peer of ${other.IPSEC_NAME} into that tunnel: IPSEC_REMOTEIP=${endpointText(remote)} does not tell where they go`,
          hint: `set IPSEC_REMOTEIP of ${other.IPSEC_NAME} to the peer's address, or name the networks behind ${taking.IPSEC_NAME}`,
        },
      ];
    }),
  );

const ownAddress =
  (wanted: AddressFamily) =>
  ({ IPSEC_XFRM_IPADDR_LOCAL: addresses = [] }: Values): string | undefined => {
    const found = addresses.find(({ address }) => address.family === wanted);
    return found?.prefixLength === undefined
      ? found?.address.text
      : `${found.address.text}/${found.prefixLength}`;
  };

/** The kernel takes an IPv6 address once, so it has one address at its other end, or none. */
const otherIpv6End = (tunnel: Values): string | undefined =>
  ownAddress("ipv6")(tunnel) === undefined
    ? undefined
    : (tunnel.IPSEC_XFRM_IPADDR_PEER?.find(({ family }) => family === "ipv6")?.text ?? "nothing");

const unique: readonly Unique[] = [
  { variable: "IPSEC_MTU", read: ({ IPSEC_MTU: mtu }) => String(mtu) },
  { variable: "IPSEC_MSS", read: ({ IPSEC_MSS: mss }) => String(mss) },
  { variable: "IPSEC_XFRM_IPADDR_LOCAL", read: ownAddress("ipv4") },
  { variable: "IPSEC_XFRM_IPADDR_LOCAL", read: ownAddress("ipv6") },
  { variable: "IPSEC_XFRM_IPADDR_PEER", read: otherIpv6End },
];
