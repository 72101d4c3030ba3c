import { type Network, parseNetwork } from "../ipsec/network.ts";

/** The network of that one address; undefined for what is none. */
export const hostNetwork = (address: string): Network | undefined => {
  const network = parseNetwork(address);
  return network.ok ? network.value.network : undefined;
};
