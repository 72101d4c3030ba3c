import ipaddr from "ipaddr.js";
import { invalid, type Problem, quoted, type Result, valid } from "../failure.ts";
import { type Address, type AddressFamily, parseAddress } from "./address.ts";

/** An IP network in canonical form (host bits zero): what a traffic selector of RFC 7296 §2.9 covers here. */
export type Network = {
  readonly family: AddressFamily;
  readonly text: string;
  readonly prefixLength: number;
};

/**
 * Reads one network in CIDR notation; a bare address is the network of that one host.
 * Set host bits are a warning, since strongSwan and people read `10.1.2.3/16` differently.
 */
export const parseNetwork = (text: string): Result<{ network: Network; warning?: Problem }> => {
  const [host = "", length, ...rest] = text.split("/");
  const address = parseAddress(host);
  if (!address.ok || rest.length > 0) {
    return invalid(`${quoted(text)} is not a network`, "for example 10.1.0.0/16 or 2001:db8:1::/48");
  }
  const { family } = address.value;
  const bits = family === "ipv4" ? 32 : 128;
  const prefixLength = length === undefined ? bits : parsePrefixLength(length, bits);
  if (prefixLength === undefined) {
    return invalid(
      `${quoted(text)} has no valid prefix length`,
      `a whole number from 0 to ${bits}, for example ${address.value.text}/${bits}`,
    );
  }
  const network = {
    family,
    prefixLength,
    text: `${networkAddress(address.value.text, prefixLength)}/${prefixLength}`,
  };
  if (network.text === `${address.value.text}/${prefixLength}`) return valid({ network });
  const warning = {
    message: `${quoted(text)} has host bits set and is read as the network ${network.text}`,
    hint: `write ${network.text}, or ${address.value.text}/${bits} if the one host was meant`,
  };
  return valid({ network, warning });
};

/** The network of one address. */
export const networkOfHost = ({ family, text }: Address): Network => {
  const prefixLength = family === "ipv4" ? 32 : 128;
  return { family, text: `${text}/${prefixLength}`, prefixLength };
};

/** Whether the two networks share an address. */
export const overlaps = (one: Network, other: Network): boolean => {
  if (one.family !== other.family) return false;
  const [wide, narrow] = one.prefixLength <= other.prefixLength ? [one, other] : [other, one];
  const [address] = narrow.text.split("/");
  return `${networkAddress(address as string, wide.prefixLength)}/${wide.prefixLength}` === wide.text;
};

/** The network of that shorter prefix around it. */
export const enclosing = ({ family, text }: Network, prefixLength: number): Network => ({
  family,
  prefixLength,
  text: `${networkAddress(text.split("/")[0] as string, prefixLength)}/${prefixLength}`,
});

/** The bits that its addresses have in common, as digits: what begins with them lies in it. */
export const prefixBits = ({ text, prefixLength }: Network): string =>
  ipaddr
    .parse(text.split("/")[0] as string)
    .toByteArray()
    .map((byte) => byte.toString(2).padStart(8, "0"))
    .join("")
    .slice(0, prefixLength);

/** Whether the network is everything: 0.0.0.0/0 or ::/0. */
export const isDefaultRoute = (network: Network): boolean => network.prefixLength === 0;

/** Whether all of its addresses are of IPv6 and hold on one link only (RFC 4291 §2.5.6). */
export const isLinkLocal = (network: Network): boolean =>
  network.family === "ipv6" && network.prefixLength >= 10 && enclosing(network, 10).text === "fe80::/10";

const parsePrefixLength = (text: string, bits: number): number | undefined =>
  /^(?:0|[1-9]\d{0,2})$/.test(text) && Number(text) <= bits ? Number(text) : undefined;

const networkAddress = (address: string, prefixLength: number): string => {
  const parsed = ipaddr.parse(address);
  return parsed.kind() === "ipv4"
    ? ipaddr.IPv4.networkAddressFromCIDR(`${address}/${prefixLength}`).toString()
    : ipaddr.IPv6.networkAddressFromCIDR(`${address}/${prefixLength}`).toRFC5952String();
};
