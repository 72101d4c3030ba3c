import type { Problem } from "../failure.ts";
import type { AddressFamily } from "../ipsec/address.ts";
import type { Values } from "./settings.ts";
import type { VariableName } from "./variables.ts";

/**
 * Tunnels on one XFRM interface give it the addresses and routes of all of them. This finds where they contradict each
 * other: in what it can have only once. `nameOf` tells how a message names a tunnel.
 */
export const checkSharedInterfaces = (
  tunnels: readonly Values[],
  nameOf: (tunnel: Values) => string = ({ IPSEC_NAME }) => IPSEC_NAME,
): readonly Problem[] => {
  const interfaces = Map.groupBy(tunnels, ({ IPSEC_XFRM_IF_ID: id }) => id);
  return [...interfaces].flatMap(([id, sharing]) =>
    id === undefined ? [] : unique.flatMap((one) => contradictions(id, one, sharing, nameOf)),
  );
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
  nameOf: (tunnel: Values) => string,
): readonly Problem[] => {
  const [first, ...others] = sharing.filter((tunnel) => read(tunnel) !== undefined);
  if (first === undefined) return [];
  return others
    .filter((other) => read(other) !== read(first))
    .map((other) => ({
      variable: `${variable}, IPSEC_XFRM_IF_ID`,
      message: `${variable} is ${read(first)} for ${nameOf(first)} and ${read(other)} for ${nameOf(other)}, which share IPSEC_XFRM_IF_ID=${id}`,
      hint: `give both the same ${variable}, or each an IPSEC_XFRM_IF_ID of its own`,
    }));
};

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
