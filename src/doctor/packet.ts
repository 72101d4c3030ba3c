import ipaddr from "ipaddr.js";
import type { AddressFamily } from "../ipsec/address.ts";
import type { Network } from "../ipsec/network.ts";

/** A packet, or all packets alike, of which some things are known. What is absent may be anything. */
export type Packet = {
  readonly family: AddressFamily;
  /** `any` for what hosts send through the tunnel. */
  readonly protocol: "udp" | "esp" | "any";
  readonly source?: Network | undefined;
  readonly destination?: Network | undefined;
  readonly sourcePort?: number;
  readonly destinationPort?: number;
  /** Whether it belongs to an exchange that connection tracking knows already. */
  readonly state: "new" | "established";
  /** Names of the interfaces that it comes in and goes out by. */
  readonly input?: string | undefined;
  readonly output?: string | undefined;
  /** Whether an IPsec policy takes it on its way out. */
  readonly toIpsec?: boolean;
};

/** Whether something holds for a packet; `maybe` where that depends on what is not known. */
export type Answer = "yes" | "no" | "maybe";

export const not = (answer: Answer): Answer => (answer === "yes" ? "no" : answer === "no" ? "yes" : "maybe");

export const all = (answers: readonly Answer[]): Answer =>
  answers.includes("no") ? "no" : answers.includes("maybe") ? "maybe" : "yes";

export const some = (answers: readonly Answer[]): Answer =>
  answers.includes("yes") ? "yes" : answers.includes("maybe") ? "maybe" : "no";

export const sure = (holds: boolean): Answer => (holds ? "yes" : "no");

/** Addresses of one family, both ends included. */
export type AddressRange = {
  readonly family: AddressFamily;
  readonly first: bigint;
  readonly last: bigint;
};

/** Whether all, none or some of the network's addresses are in the range. */
export const isWithin = (network: Network | undefined, range: AddressRange): Answer => {
  if (network === undefined) return "maybe";
  const own = rangeOf(network);
  if (own.family !== range.family || own.last < range.first || own.first > range.last) return "no";
  return own.first >= range.first && own.last <= range.last ? "yes" : "maybe";
};

export const rangeOf = ({ family, text, prefixLength }: Network): AddressRange => {
  const first = numberOf(text.split("/")[0] as string);
  const bits = family === "ipv4" ? 32 : 128;
  return { family, first, last: first + (1n << BigInt(bits - prefixLength)) - 1n };
};

/** From one address to another; undefined where either is none. */
export const rangeBetween = (first: string, last: string): AddressRange | undefined =>
  ipaddr.isValid(first) && ipaddr.isValid(last)
    ? {
        family: ipaddr.parse(first).kind() === "ipv4" ? "ipv4" : "ipv6",
        first: numberOf(first),
        last: numberOf(last),
      }
    : undefined;

const numberOf = (address: string): bigint =>
  ipaddr
    .parse(address)
    .toByteArray()
    .reduce((number, byte) => number * 256n + BigInt(byte), 0n);

/** An interface's name against a rule's, whose last character may stand for any further ones (`eth*`, `eth+`). */
export const isInterface = (name: string | undefined, pattern: string): Answer => {
  if (name === undefined) return "maybe";
  return sure(/[*+]$/.test(pattern) ? name.startsWith(pattern.slice(0, -1)) : name === pattern);
};

export const isProtocol = ({ protocol }: Packet, name: string): Answer =>
  protocol === "any" ? "maybe" : sure((protocolNames[protocol] as readonly string[]).includes(name));

/** Names and numbers (RFC 768, RFC 4303). */
const protocolNames = { udp: ["udp", "17"], esp: ["esp", "50"] } as const;

/** Only UDP has ports here; of what hosts send they are not known. */
export const isPort = (
  packet: Packet,
  side: "source" | "destination",
  first: number,
  last: number,
): Answer => {
  const port = side === "source" ? packet.sourcePort : packet.destinationPort;
  if (packet.protocol === "esp") return "no";
  return port === undefined ? "maybe" : sure(port >= first && port <= last);
};
