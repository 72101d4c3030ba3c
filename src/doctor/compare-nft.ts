import type { AddressFamily } from "../ipsec/address.ts";
import { parseNetwork } from "../ipsec/network.ts";
import {
  type AddressRange,
  type Answer,
  all,
  isInterface,
  isPort,
  isProtocol,
  isWithin,
  not,
  type Packet,
  rangeBetween,
  rangeOf,
  some,
  sure,
} from "./packet.ts";

/** A statement or an expression is one name, and what belongs to it. */
export const named = (statement: unknown): readonly [name: string, content: unknown] =>
  (typeof statement === "object" && statement !== null ? Object.entries(statement)[0] : undefined) ?? [
    "",
    undefined,
  ];

export const fieldOf = (value: unknown, name: string): unknown =>
  typeof value === "object" && value !== null ? (value as Record<string, unknown>)[name] : undefined;

/** Elements of a set of the same table by its name; undefined where it was not listed. */
export type ValuesOf = (name: string) => readonly unknown[] | undefined;

/** Whether the left side of a match has the value on its right, or one of a set; see libnftables-json(5). */
export const compareNft = (
  op: string,
  left: unknown,
  right: unknown,
  packet: Packet,
  valuesOf: ValuesOf,
): Answer => {
  const equals = (): Answer => some(asList(right, valuesOf).map((value) => isValue(left, value, packet)));
  switch (op) {
    case "==":
    case "in":
      return equals();
    case "!=":
      return not(equals());
    default:
      return isOrdered(op, left, right, packet);
  }
};

export const asList = (value: unknown, valuesOf: ValuesOf): readonly unknown[] => {
  if (typeof value === "string" && value.startsWith("@")) return valuesOf(value) ?? [unknownValue];
  if (Array.isArray(value)) return value;
  const set = fieldOf(value, "set");
  return Array.isArray(set) ? set : [value];
};

/** Stands for the elements of a set that was not listed. */
const unknownValue = { unknown: true };

const isValue = (left: unknown, value: unknown, packet: Packet): Answer => {
  // An element with a comment or a timeout.
  const plain = fieldOf(fieldOf(value, "elem"), "val") ?? value;
  if (plain === unknownValue) return "maybe";
  const [kind, content] = named(left);
  const key = String(fieldOf(content, "key"));
  switch (kind) {
    case "payload":
      return isPayload(content, plain, packet);
    case "ct":
      return key === "state" ? sure(plain === packet.state) : "maybe";
    case "rt":
      return key === "ipsec" && packet.toIpsec !== undefined
        ? sure(packet.toIpsec === (plain === true || plain === 1))
        : "maybe";
    case "meta":
      return isMeta(key, plain, packet);
    case "concat": {
      const [parts, values] = [content, fieldOf(plain, "concat")];
      if (!Array.isArray(parts) || !Array.isArray(values)) return "maybe";
      return all(parts.map((part, index) => isValue(part, values[index], packet)));
    }
    default:
      return "maybe";
  }
};

const isMeta = (key: string, value: unknown, packet: Packet): Answer => {
  switch (key) {
    case "l4proto":
      return isProtocol(packet, String(value));
    case "nfproto":
      return sure(value === packet.family);
    case "protocol":
      return sure(value === (packet.family === "ipv4" ? "ip" : "ip6"));
    case "iif":
    case "iifname":
      return isInterface(packet.input, String(value));
    case "oif":
    case "oifname":
      return isInterface(packet.output, String(value));
    default:
      return "maybe";
  }
};

const isPayload = (content: unknown, value: unknown, packet: Packet): Answer => {
  const protocol = String(fieldOf(content, "protocol"));
  const field = String(fieldOf(content, "field"));
  if (protocol === "ip" || protocol === "ip6") {
    if (packet.family !== familyOf(protocol)) return "no";
    if (field === "protocol" || field === "nexthdr") return isProtocol(packet, String(value));
    if (field !== "saddr" && field !== "daddr") return "maybe";
    const range = asRange(value);
    return range === undefined
      ? "maybe"
      : isWithin(field === "saddr" ? packet.source : packet.destination, range);
  }
  if (protocol !== "th" && isProtocol(packet, protocol) === "no") return "no";
  if (field !== "sport" && field !== "dport") return "maybe";
  const [first, last] = asPorts(value);
  return isPort(packet, field === "sport" ? "source" : "destination", first, last);
};

const familyOf = (protocol: "ip" | "ip6"): AddressFamily => (protocol === "ip" ? "ipv4" : "ipv6");

/** An address, `{prefix: {addr, len}}` or `{range: [first, last]}`. */
const asRange = (value: unknown): AddressRange | undefined => {
  const range = fieldOf(value, "range");
  if (Array.isArray(range)) return rangeBetween(String(range[0]), String(range[1]));
  const prefix = fieldOf(value, "prefix");
  const text = prefix === undefined ? String(value) : `${fieldOf(prefix, "addr")}/${fieldOf(prefix, "len")}`;
  const network = parseNetwork(text);
  return network.ok ? rangeOf(network.value.network) : undefined;
};

/** nft names some ports. */
const asPorts = (value: unknown): readonly [number, number] => {
  const range = fieldOf(value, "range");
  const [first, last] = Array.isArray(range) ? range : [value, value];
  return [asPort(first), asPort(last)];
};

const asPort = (value: unknown): number =>
  value === "isakmp" ? 500 : value === "ipsec-nat-t" ? 4500 : Number(value);

const isOrdered = (op: string, left: unknown, right: unknown, packet: Packet): Answer => {
  const content = fieldOf(left, "payload");
  const field = String(fieldOf(content, "field"));
  if (typeof right !== "number" || (field !== "sport" && field !== "dport")) return "maybe";
  const [first, last] =
    op === ">="
      ? [right, 65535]
      : op === ">"
        ? [right + 1, 65535]
        : op === "<="
          ? [0, right]
          : [0, right - 1];
  return isPayload(content, { range: [first, last] }, packet);
};
