import ipaddr from "ipaddr.js";
import { invalid, quoted, type Result, valid } from "../failure.ts";

export type AddressFamily = "ipv4" | "ipv6";

/** An IP address in canonical form: dotted decimal, or RFC 5952. */
export type Address = { readonly family: AddressFamily; readonly text: string };

/** Where a peer is found: an address, a DNS name resolved by the IKE daemon, or anywhere (it must call us). */
export type Endpoint =
  | { readonly kind: "address"; readonly address: Address }
  | { readonly kind: "name"; readonly name: string }
  | { readonly kind: "any" };

/** As the variables name it, and strongSwan reads it. */
export const endpointText = (endpoint: Endpoint): string => {
  switch (endpoint.kind) {
    case "address":
      return endpoint.address.text;
    case "name":
      return endpoint.name;
    case "any":
      return "%any";
    default:
      return endpoint satisfies never;
  }
};

/**
 * Reads one address. The lenient IPv4 forms of inet_aton(3) (octal, hexadecimal, fewer than four parts) and
 * zone indices are refused: two programs would read them differently.
 */
export const parseAddress = (text: string): Result<Address> => {
  // Asked first, since ipaddr.js throws and catches what is no address, and of names there may be thousands.
  if (/^[\d.]+$/.test(text) && ipaddr.IPv4.isValidFourPartDecimal(text))
    return valid({ family: "ipv4", text });
  if (text.includes(":") && !text.includes("%") && ipaddr.IPv6.isValid(text)) {
    return valid({ family: "ipv6", text: ipaddr.IPv6.parse(text).toRFC5952String() });
  }
  return invalid(`${quoted(text)} is not an IP address`, "for example 192.0.2.1 or 2001:db8::1");
};

/** Reads a local endpoint: an address that a host can have, or `%any`. */
export const parseLocalEndpoint = (text: string): Result<Endpoint> => {
  if (text.toLowerCase() === "%any") return valid({ kind: "any" });
  const address = parseZoned(text);
  if (!address.ok) {
    return invalid(
      `${quoted(text)} is neither an IP address nor %any`,
      "for example 192.0.2.1, 2001:db8::1, or %any for whatever address this host has",
    );
  }
  return parseHostAddress(address.value);
};

/** Reads the peer's endpoint: as the local one, or a host name (RFC 1123 labels). */
export const parseRemoteEndpoint = (text: string): Result<Endpoint> => {
  if (text.toLowerCase() === "%any") return valid({ kind: "any" });
  const address = parseZoned(text);
  if (address.ok) return parseHostAddress(address.value);
  if (isHostName(text)) return valid({ kind: "name", name: text });
  return invalid(
    `${quoted(text)} is neither an IP address nor a host name nor %any`,
    "for example 198.51.100.7, vpn.example.com, or %any for a peer that calls from anywhere",
  );
};

/** An address as an interface has it: alone, or with the length of its network's prefix. */
export type InterfaceAddress = { readonly address: Address; readonly prefixLength?: number };

/** Reads `169.254.10.1` or `169.254.10.1/30`. */
export const parseInterfaceAddress = (text: string): Result<InterfaceAddress> => {
  const [host = "", length] = text.split("/", 2);
  const address = parseAddress(host);
  if (!address.ok || text.split("/").length > 2) {
    return invalid(
      `${quoted(text)} is not an address of an interface`,
      "for example 169.254.10.1 or 169.254.10.1/30",
    );
  }
  if (length === undefined) return valid({ address: address.value });
  const bits = address.value.family === "ipv4" ? 32 : 128;
  return /^(?:[1-9]\d{0,2})$/.test(length) && Number(length) <= bits
    ? valid({ address: address.value, prefixLength: Number(length) })
    : invalid(`${quoted(text)} has no valid prefix length`, `a whole number from 1 to ${bits}`);
};

/** RFC 1123 host name whose last label is not a number, so that a mistyped address never passes as a name. */
export const isHostName = (text: string): boolean =>
  text.length <= 253 &&
  /^(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?\.)*[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$/i.test(text);

/** A zone (`fe80::1%eth0`, RFC 4007 §11) is read past, so that its address is refused for what it is. */
const parseZoned = (text: string): Result<Address> => {
  const [, linkLocal] = /^(fe[89ab][0-9a-f]:[0-9a-f:]*)%[\w.-]+$/i.exec(text) ?? [];
  return parseAddress(linkLocal ?? text);
};

const parseHostAddress = (address: Address): Result<Endpoint> => {
  const range = ipaddr.parse(address.text).range();
  switch (range) {
    case "unspecified":
      return invalid(`${quoted(address.text)} is no address of a host`, "use %any for any address");
    case "multicast":
    case "broadcast":
      return invalid(
        `${quoted(address.text)} is a ${range} address`,
        "an endpoint is the address of one host",
      );
    case "linkLocal":
      // A link-local IPv6 address means nothing without its interface, and charon binds none to it.
      return address.family === "ipv6"
        ? invalid(
            `${quoted(address.text)} is a link-local address`,
            "use a global or unique local address (RFC 4193); link-local ones hold on one link only",
          )
        : valid({ kind: "address", address });
    default:
      return valid({ kind: "address", address });
  }
};
