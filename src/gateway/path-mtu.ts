import type { Endpoint } from "../ipsec/address.ts";

/** Tells how many bytes a packet to the peer may have, IP header included. */
export type PathMtu = (peer: Endpoint) => number;

/** That of Ethernet, which nearly every path takes (RFC 894), where nothing is known of the host. */
export const usualPathMtu: PathMtu = () => ethernetMtu;

export const ethernetMtu = 1500;
