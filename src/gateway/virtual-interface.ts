import type { Address, Endpoint, InterfaceAddress } from "../ipsec/address.ts";
import type { Network } from "../ipsec/network.ts";

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
};
