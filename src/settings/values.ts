import { invalid, type Problem, quoted, type Result, valid } from "../failure.ts";
import { type AddressFamily, parseAddress } from "../ipsec/address.ts";
import { parseDuration } from "../ipsec/duration.ts";
import { isLinkLocal, type Network, parseNetwork } from "../ipsec/network.ts";
import { type Proposal, parseProposals } from "../ipsec/proposal.ts";
import type { Protocol } from "../ipsec/proposal-rules.ts";
import { type Secret, secret } from "../secret.ts";
import { listOf, type Parsed, parsedBy } from "./checked.ts";

const booleans: ReadonlyMap<string, boolean> = new Map([
  ["yes", true],
  ["true", true],
  ["on", true],
  ["1", true],
  ["no", false],
  ["false", false],
  ["off", false],
  ["0", false],
]);

export const parseBoolean = (text: string): Result<boolean> => {
  const value = booleans.get(text.toLowerCase());
  return value === undefined ? invalid(`${quoted(text)} is neither yes nor no`, "yes or no") : valid(value);
};

/** A switch of the predecessor, where any text that does not say no meant yes. */
export const parseSwitch = (text: string): Result<boolean> => valid(booleans.get(text.toLowerCase()) ?? true);

/** Reads one of a few words, in any case. */
export const parseWord =
  <Word extends string>(words: readonly Word[]) =>
  (text: string): Result<Word> => {
    const word = words.find((candidate) => candidate === text.toLowerCase());
    return word === undefined
      ? invalid(`${quoted(text)} is none of ${words.join(", ")}`, words[0])
      : valid(word);
  };

/** What makes a tunnel come up: traffic that needs it, the gateway's start, both, or only the peer. */
const startActions = ["route", "start", "route,start", "add"] as const;
export type StartAction = (typeof startActions)[number];

export const parseStart = (text: string): Result<StartAction> => {
  const words = text
    .toLowerCase()
    .split(",")
    .map((word) => word.trim())
    .sort()
    .join(",");
  const action = startActions.find((candidate) => candidate === words);
  return action === undefined
    ? invalid(`${quoted(text)} is none of route, start, route,start, add`, "route")
    : valid(action);
};

export const parsePath = (text: string): Result<string> =>
  text.includes("\0")
    ? invalid(`${quoted(text)} is not a path`, "for example /etc/vnf-ipsec/site.env")
    : valid(text);

export const parseConnectionName = (text: string): Result<string> =>
  /^[a-z][a-z0-9-]{0,30}$/.test(text)
    ? valid(text)
    : invalid(
        `${quoted(text)} is no name for a connection`,
        "up to 31 of a-z, 0-9 and -, a letter first, for example site",
      );

export const parseProposalList =
  (protocol: Protocol) =>
  (text: string): Parsed<readonly Proposal[]> =>
    parseProposals(text, protocol);

export const parseNetworkItem = (text: string): Parsed<Network> => {
  const result = parseNetwork(text);
  if (!result.ok) return { ok: false, problems: [result.problem], warnings: [] };
  const { network, warning } = result.value;
  // Those of IPv4, 169.254.0.0/16, are routed into tunnels all the same: clouds number the ends of theirs so.
  if (isLinkLocal(network)) return { ok: false, problems: [refusedLinkLocal(text)], warnings: [] };
  return { ok: true, value: network, warnings: warning === undefined ? [] : [warning] };
};

const refusedLinkLocal = (text: string): Problem => ({
  message: `${quoted(text)} is link-local: its addresses hold on one link only and are never routed (RFC 4291 §2.5.6)`,
  hint: "use global or unique local addresses (RFC 4193), for example fd00:1::/48",
});

/** Name of a network interface: what the kernel takes (IFNAMSIZ) less what strongswan.conf would misread. */
export const parseInterfaceName = (text: string): Parsed<string> =>
  /^[A-Za-z0-9_.@-]{1,15}$/.test(text) && text !== "." && text !== ".."
    ? { ok: true, value: text, warnings: [] }
    : {
        ok: false,
        problems: [
          {
            message: `${quoted(text)} is no name of an interface`,
            hint: "at most 15 characters, for example eth0",
          },
        ],
        warnings: [],
      };

export const parseLifetime = (text: string): Result<number> =>
  parseDuration(text, { minimumSeconds: 120, maximumSeconds: 86_400 });

export const parseInterval = (text: string): Result<number> =>
  parseDuration(text, { minimumSeconds: 1, maximumSeconds: 3600 });

/** Key of a VTI, which is also the mark of its CHILD SAs, or identifier of an XFRM interface: 1 to 2³²−1. */
export const parseKey = (text: string): Result<number> => {
  const key = /^(?:0x[0-9a-f]{1,8}|[1-9]\d{0,9})$/i.test(text) ? Number(text) : 0;
  return key >= 1 && key <= 0xffff_ffff
    ? valid(key)
    : invalid(
        `${quoted(text)} is not a number from 1 to 4294967295`,
        "decimal or hexadecimal, for example 42 or 0x2a",
      );
};

/** Reads a list of addresses, not more than one of IPv4 and one of IPv6. */
export const oneOfEachFamily = <T>(
  parseOne: (text: string) => Result<T>,
  familyOf: (one: T) => AddressFamily,
): ((text: string) => Parsed<readonly T[]>) => {
  const parse = listOf(parsedBy(parseOne));
  return (text) => {
    const parsed = parse(text);
    if (!parsed.ok || new Set(parsed.value.map(familyOf)).size === parsed.value.length) return parsed;
    const message = `${quoted(text)} has several addresses of one family`;
    return { ok: false, problems: [{ message, hint: "one of IPv4 and one of IPv6" }], warnings: [] };
  };
};

/** An MTU or an MSS in bytes: `auto` computes it, `off` leaves what others chose. */
export const parseSize =
  (example: number) =>
  (text: string): Result<number | "auto" | "off"> => {
    const word = text.toLowerCase();
    if (word === "auto" || word === "off") return valid(word);
    const size = /^[1-9]\d{2,3}$/.test(text) ? Number(text) : 0;
    return size >= 576 && size <= 9000
      ? valid(size)
      : invalid(
          `${quoted(text)} is neither a number from 576 to 9000 nor auto nor off`,
          `for example ${example}`,
        );
  };

/** An address of this host, `0.0.0.0` and `::` for all of them, and a TCP port. */
export type ListenAddress = { readonly host: string; readonly port: number };

/** Reads `192.0.2.1:9100` or `[2001:db8::1]:9100`. */
export const parseListenAddress = (text: string): Result<ListenAddress> => {
  const [, bracketed, bare, digits] = /^(?:\[(.*)\]|([^:]*)):(\d{1,5})$/.exec(text) ?? [];
  const address = parseAddress(bracketed ?? bare ?? "");
  const port = Number(digits ?? 0);
  const isInItsForm = address.ok && (address.value.family === "ipv6") === (bracketed !== undefined);
  return isInItsForm && port >= 1 && port <= 65_535
    ? valid({ host: address.value.text, port })
    : invalid(
        `${quoted(text)} is no address and port`,
        "for example 127.0.0.1:9100, [::1]:9100, or 0.0.0.0:9100 for every address of this host",
      );
};

/**
 * Reads a pre-shared key from its bytes: `0x` and hexadecimal digits, `0s` and base64, or the text itself.
 * No message shows any of it.
 */
export const parsePreSharedKey = (bytes: Uint8Array): Parsed<Secret> => {
  const text = new TextDecoder("latin1").decode(bytes);
  const key = text.startsWith("0x")
    ? decodeHex(text.slice(2))
    : text.startsWith("0s")
      ? decodeBase64(text.slice(2))
      : bytes;
  if (key === undefined) {
    const message = text.startsWith("0x")
      ? "starts with 0x and is not an even number of hexadecimal digits"
      : "starts with 0s and is not base64 (RFC 4648)";
    return {
      ok: false,
      problems: [{ message, hint: "correct the encoding, or encode a key that really starts so" }],
      warnings: [],
    };
  }
  if (key.length === 0)
    return { ok: false, problems: [{ message: "is empty", hint: suggestion }], warnings: [] };
  return { ok: true, value: secret(key), warnings: weakness(key) };
};

/** Reads a private key as far as that goes without its passphrase. No message shows any of it. */
export const parsePrivateKey = (bytes: Uint8Array): Parsed<Secret> => {
  const text = new TextDecoder("latin1").decode(bytes);
  const [block, ...others] = text.match(/-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----/g) ?? [];
  if (block !== undefined && others.length === 0)
    return { ok: true, value: secret(new Uint8Array(bytes)), warnings: [] };
  const message = block === undefined ? "holds no private key in PEM" : "holds more than one private key";
  const hint =
    block === undefined
      ? "it begins with -----BEGIN PRIVATE KEY-----, for example from: openssl pkey -in FILE -out key.pem"
      : "keep the key of IPSEC_CERT alone";
  return { ok: false, problems: [{ message, hint }], warnings: [] };
};

export const parsePassphrase = (bytes: Uint8Array): Parsed<Secret> =>
  bytes.length > 0
    ? { ok: true, value: secret(bytes), warnings: [] }
    : {
        ok: false,
        problems: [{ message: "is empty", hint: "leave it out for a key that is not encrypted" }],
        warnings: [],
      };

const suggestion = "make one with: openssl rand -base64 32";

/** RFC 7296 §2.15 asks for as much unpredictability as the strongest key negotiated; twenty bytes are too few already. */
const weakness = (key: Uint8Array): readonly Problem[] =>
  key.length < 20
    ? [
        {
          message: `has only ${key.length} bytes, which whoever plays the part of the peer can guess`,
          hint: suggestion,
        },
      ]
    : [];

const decodeHex = (digits: string): Uint8Array | undefined =>
  /^(?:[0-9a-f]{2})+$/i.test(digits) ? Uint8Array.from(Buffer.from(digits, "hex")) : undefined;

const decodeBase64 = (digits: string): Uint8Array | undefined =>
  /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?$/.test(digits) && digits !== ""
    ? Uint8Array.from(Buffer.from(digits, "base64"))
    : undefined;
