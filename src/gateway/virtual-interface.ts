import type { Address, Endpoint, InterfaceAddress } from "../ipsec/address.ts";
import type { Network } from "../ipsec/network.ts";
import type { Proposal } from "../ipsec/proposal.ts";
import { largestInnerPacket } from "../ipsec/tunnel-overhead.ts";

/** An interface whose packets are what the tunnel protects: a VTI, whose key is the mark of its policies. */
export type VirtualInterface = {
  readonly kind: "vti";
  readonly name: string;
  readonly key: number;
  readonly local: Endpoint;
  readonly remote: Endpoint;
  readonly address?: InterfaceAddress;
  readonly peerAddress?: Address;
  readonly routes: readonly Network[];
  /** Of the interface; `undefined` leaves what the kernel chose. */
  readonly mtu: number | undefined;
};

/**
 * The MTU of an interface whose packets go through these proposals over a path of 1500 bytes, so that none has to
 * be fragmented after encryption.
 */
export const mtuFor = (
  proposals: readonly Proposal[],
  local: Endpoint,
  remote: Endpoint,
  inUdp: boolean,
): number => {
  const end = local.kind === "address" ? local : remote;
  const outer = end.kind === "address" ? end.address.family : "ipv4";
  return largestInnerPacket(1500, proposals, { outer, inUdp });
};
