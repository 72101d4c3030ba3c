import { invalid, quoted, type Result, valid } from "../failure.ts";
import { type Endpoint, parseAddress } from "./address.ts";
import {
  decodeName,
  encodeName,
  isPlainName,
  nameText,
  readName,
  unprintable,
} from "./distinguished-name.ts";

/** An identity as IKE carries it (RFC 7296 §3.5): its type and its text. */
export type Identity =
  | { readonly kind: "ipv4" | "ipv6" | "fqdn" | "email"; readonly text: string }
  | {
      readonly kind: "dn";
      readonly text: string;
      /** Its DER as hex, where the text alone would not give it to strongSwan. */
      readonly encoded?: string;
    }
  | { readonly kind: "keyid"; readonly text: string; readonly encoding: "text" | "hex" }
  | { readonly kind: "any" };

const example =
  'for example 192.0.2.1, moon.example.com, vpn@example.com, "C=DE, O=Example, CN=moon" or keyid:moon';

/**
 * Reads an identity by the conventions of strongSwan (libstrongswan/utils/identification.c), less its guesses:
 * there, text that fits nothing silently becomes a KEY_ID, and `10.1.0.0/16` a subnet.
 */
export const parseIdentity = (text: string): Result<Identity> => {
  if (/^asn1dn:#/i.test(text)) return parseEncodedName(text);
  if (text.includes("=") && !/^(?:keyid:|@#)/i.test(text)) return parseDistinguishedName(text);
  if (text.length > longestText) return invalid(tooLong(text), example);
  if (!/^[\x20-\x7e]*$/.test(text) || /["\\]/.test(text)) {
    return invalid(
      `${quoted(text)} has a quote, a backslash or a character outside printable ASCII`,
      "write the identity's bytes as @#hex to send them as a KEY_ID",
    );
  }
  if (text.includes(" : ")) {
    return invalid(`${quoted(text)} contains " : ", which ends the identities of a secret`, example);
  }
  if (text.toLowerCase() === "%any") return valid({ kind: "any" });
  if (text.startsWith("@#")) return parseHexKeyId(text);
  if (/^keyid:/i.test(text)) return parseKeyId(text);
  if (text.includes("@") && !text.startsWith("@")) return parseEmail(text, text);
  if (text.startsWith("@@")) return parseEmail(text, text.slice(2));
  const address = parseAddress(text);
  // To strongSwan the unspecified address is any identity.
  if (address.ok && (address.value.text === "0.0.0.0" || address.value.text === "::")) {
    return invalid(`${quoted(text)} is no address of a host, and would accept any identity`, example);
  }
  if (address.ok) return valid({ kind: address.value.family, text: address.value.text });
  return parseFqdn(text);
};

/** The identity that an endpoint has when none is given, or undefined for `%any`. */
export const identityOfEndpoint = (endpoint: Endpoint): Identity | undefined => {
  switch (endpoint.kind) {
    case "address":
      return { kind: endpoint.address.family, text: endpoint.address.text };
    case "name":
      return { kind: "fqdn", text: endpoint.name };
    case "any":
      return undefined;
    default:
      return endpoint satisfies never;
  }
};

const parseHexKeyId = (text: string): Result<Identity> => {
  const hex = text.slice(2);
  if (!/^(?:[0-9a-f]{2})+$/i.test(hex)) {
    return invalid(
      `${quoted(text)} is not @# and an even number of hexadecimal digits`,
      "for example @#6d6f6f6e",
    );
  }
  return valid({ kind: "keyid", text: hex.toLowerCase(), encoding: "hex" });
};

const parseKeyId = (text: string): Result<Identity> => {
  const id = text.slice("keyid:".length);
  if (id === "" || id.startsWith("#")) {
    return invalid(
      `${quoted(text)} is not keyid: and a text`,
      "for example keyid:moon, or @#6d6f6f6e for bytes",
    );
  }
  return valid({ kind: "keyid", text: id, encoding: "text" });
};

const parseEmail = (text: string, email: string): Result<Identity> =>
  /^[^\s@:,<>()[\]{}]+@[a-z0-9.-]+$/i.test(email)
    ? valid({ kind: "email", text: email })
    : invalid(`${quoted(text)} is not an e-mail address`, "for example vpn@example.com");

const parseFqdn = (text: string): Result<Identity> => {
  const name = text.startsWith("@") ? text.slice(1) : text;
  if (/^[\d.]+$/.test(name) && !text.startsWith("@")) {
    return invalid(`${quoted(text)} looks like an address and is none`, example);
  }
  // A lone "*" means any identity to strongSwan, so it is left out.
  return /^(?!\*$)[a-z0-9_*-][a-z0-9._*-]*$/i.test(name)
    ? valid({ kind: "fqdn", text: name })
    : invalid(`${quoted(text)} is not an identity`, example);
};

const longestText = 255;

const tooLong = (text: string): string => `${quoted(text)} is longer than ${longestText} characters`;

/**
 * In bytes, of which `asn1dn:#` is followed by two characters each. vici_stringify() cuts an identity off after 511
 * characters, without a word (`BUF_LEN` in parse_id() of libcharon/plugins/vici/vici_config.c).
 */
export const longestEncoded = 251;

/** Whether vici takes all of it. Only the subject of a certificate can be longer. */
export const fitsVici = (identity: Identity): boolean => {
  if (identity.kind !== "dn") return true;
  const { text, encoded } = identity;
  return encoded === undefined ? text.length < 512 : encoded.length <= longestEncoded * 2;
};

/** A name as its bytes, in whichever encoding and with attributes that have no short type here. */
const parseEncodedName = (text: string): Result<Identity> => {
  const encoded = text.slice("asn1dn:#".length).toLowerCase();
  if (encoded.length > longestEncoded * 2) return invalid(tooLongEncoded(text), nameHint);
  try {
    if (/^(?:[0-9a-f]{2})+$/.test(encoded)) {
      const { attributes } = decodeName(Buffer.from(encoded, "hex"));
      return valid({ kind: "dn", text: nameText(attributes), encoded });
    }
  } catch {
    // Said below.
  }
  return invalid(`${quoted(text)} is not asn1dn:# and the DER of a name as hexadecimal digits`, nameHint);
};

/** strongSwan's RDN_MAX; a longer name silently becomes a KEY_ID there. */
const maximumAttributes = 20;

const nameHint =
  'attributes such as C, ST, L, O, OU, CN, E, separated by commas, for example C=DE, O="Example, Ltd.", CN=moon';

const tooLongEncoded = (text: string): string =>
  `${quoted(text)} is longer than ${longestEncoded} bytes in DER`;

const parseDistinguishedName = (text: string): Result<Identity> => {
  if (unprintable.test(text)) {
    return invalid(
      `${quoted(text)} has a character that cannot be printed, or is not UTF-8`,
      "a backslash and two hexadecimal digits stand for each byte of such a character, for example \\C3\\BC for ü",
    );
  }
  const attributes = readName(text);
  if ("fault" in attributes) {
    const fault = quoted(attributes.fault.trim());
    return attributes.isJoined
      ? invalid(
          `${quoted(text)}: ${fault} is several attributes joined by a plus`,
          'give the bytes of such a subject, asn1dn:#…; a plus within a value takes quotes, for example OU="a+b=c"',
        )
      : invalid(`${quoted(text)} is not a distinguished name: ${fault} is not an attribute`, nameHint);
  }
  if (attributes.length > maximumAttributes) {
    return invalid(
      `${quoted(text)} has more than ${maximumAttributes} attributes`,
      "for example C=DE, O=Example, CN=moon",
    );
  }
  if (isPlainName(text)) {
    if (text.length > longestText) return invalid(tooLong(text), nameHint);
    const parts = text.split(",").map((part) => part.trim());
    return valid({ kind: "dn", text: text.startsWith("/") ? text : parts.join(", ") });
  }
  const encoded = encodeName(attributes);
  if (encoded !== undefined && encoded.length > longestEncoded)
    return invalid(tooLongEncoded(text), nameHint);
  return encoded === undefined
    ? invalid(
        `${quoted(text)} has quotes or other characters, and an attribute that can be written without them only`,
        nameHint,
      )
    : valid({ kind: "dn", text: nameText(attributes), encoded: Buffer.from(encoded).toString("hex") });
};
