import type { Network } from "../ipsec/network.ts";

/** The network as iproute2 prints it for the destination of a route: one host without its length. */
export const iprouteDestination = ({ family, text }: Network): string =>
  text.replace(family === "ipv4" ? /\/32$/ : /\/128$/, "");
