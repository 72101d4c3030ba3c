import { derOf, objectIdentifier, readDer } from "./der.ts";

/** One attribute of a name, such as `CN=moon`. Its type is that of `attributeTypes`, or an object identifier in hex. */
export type Attribute = { readonly type: string; readonly value: string };

/**
 * Reads `C=DE, O="Example, Ltd.", CN=moon`, with the quotes and backslashes of RFC 4514, or `/C=DE/CN=moon`.
 * The part at fault, where it is no such name; `isJoined` if that is several attributes joined by a plus, which make
 * one set there (RFC 4514 §2.2), and one value to strongSwan.
 */
export const readName = (
  text: string,
): readonly Attribute[] | { readonly fault: string; readonly isJoined: boolean } => {
  const separator = text.startsWith("/") ? "/" : ",";
  const attributes: Attribute[] = [];
  for (const part of splitName(separator === "/" ? text.slice(1) : text, separator) ?? [text]) {
    const at = part.indexOf("=");
    const type = attributeTypes.get(part.slice(0, at).trim().toLowerCase());
    const value = unquotedValue(part.slice(at + 1).trim());
    if (joined.test(part.replace(escapedOrQuoted, ""))) return { fault: part, isJoined: true };
    if (at < 0 || type === undefined || value === undefined || value === "")
      return { fault: part, isJoined: false };
    attributes.push({ type: type.name, value });
  }
  return attributes;
};

/**
 * Whether strongSwan reads the text as we do. Its `atodn()` knows neither quotes nor backslashes and skips every `=`
 * before a value, vici takes ASCII alone (`chunk_printable` in vici_message.c), and ` : ` ends the identities of a secret.
 */
export const isPlainName = (text: string): boolean =>
  /^[\x20-\x7e]*$/.test(text) && !/["\\]| : |= *=/.test(text);

/** DER of a name (RFC 5280 §4.1.2.4), one attribute in each set; undefined where an attribute's identifier is not known. */
export const encodeName = (attributes: readonly Attribute[]): Uint8Array | undefined => {
  const sets: Uint8Array[] = [];
  for (const { type, value } of attributes) {
    const oid = attributeTypes.get(type.toLowerCase())?.oid;
    if (oid === undefined) return undefined;
    const identifier = derOf(0x06, objectIdentifier(oid));
    const text = derOf(stringTag(type, value), new TextEncoder().encode(value));
    sets.push(derOf(0x31, derOf(0x30, identifier, text)));
  }
  return derOf(0x30, ...sets);
};

/** What a name in DER says; `isSimple` where every set has one attribute whose type and string we know. */
export const decodeName = (
  der: Uint8Array,
): { readonly attributes: readonly Attribute[]; readonly isSimple: boolean } => {
  let isSimple = true;
  const attributes: Attribute[] = [];
  const [name, ...more] = readDer(der);
  if (name?.tag !== 0x30 || more.length > 0) throw new RangeError("DER is not that of a name");
  for (const set of readDer(name.content)) {
    const members = readDer(set.content);
    if (set.tag !== 0x31 || members.length === 0) throw new RangeError("DER is not that of a name");
    if (members.length !== 1) isSimple = false;
    for (const member of members) {
      const [identifier, text] = readDer(member.content);
      if (identifier?.tag !== 0x06 || text === undefined) throw new RangeError("DER is not that of a name");
      const oid = Buffer.from(identifier.content).toString("hex");
      const type = typesByOid.get(oid);
      const decode = decoders.get(text.tag);
      if (type === undefined || decode === undefined) isSimple = false;
      const bytes = Buffer.from(text.content);
      attributes.push({ type: type ?? oid, value: decode?.(bytes) ?? `#${bytes.toString("hex")}` });
    }
  }
  return { attributes, isSimple };
};

/** For people, on one line of characters that can be printed; and for strongSwan where it can read it. */
export const nameText = (attributes: readonly Attribute[]): string =>
  attributes
    .map(({ type, value }) => {
      const needsQuotes = /[+,"\\]|^\s|\s$/.test(value) || unprintable.test(value);
      return `${type}=${needsQuotes ? escaped(value) : value}`;
    })
    .join(", ");

/** Controls, what has no shape or changes that of others, and the sign for what was no UTF-8. */
export const unprintable = /[\p{C}\p{Zl}\p{Zp}\ufffd]/u;

/** Whether both name the same: types in their order, values in any case, as strongSwan compares most of them. */
export const sameName = (one: readonly Attribute[], other: readonly Attribute[]): boolean =>
  one.length === other.length &&
  one.every(({ type, value }, index) => {
    const twin = other[index];
    return type === twin?.type && value.toLowerCase() === twin.value.toLowerCase();
  });

const joined = /\+\s*[\w.-]+\s*=/;

const escapedOrQuoted = /\\.|"(?:[^"\\]|\\.)*"/g;

const escaped = (value: string): string => {
  const characters = [...value].map((one) =>
    unprintable.test(one) ? hexPairs(one) : one.replace(/["\\]/, "\\$&"),
  );
  return `"${characters.join("")}"`;
};

const hexPairs = (character: string): string =>
  Buffer.from(character).toString("hex").toUpperCase().replace(/../g, "\\$&");

/** Undefined where a quote is left open. */
const splitName = (text: string, separator: string): readonly string[] | undefined => {
  const parts: string[] = [];
  let part = "";
  let isQuoted = false;
  for (let index = 0; index < text.length; index += 1) {
    const character = text.charAt(index);
    if (character === "\\") {
      part += text.slice(index, index + 2);
      index += 1;
    } else if (character === separator && !isQuoted) {
      parts.push(part);
      part = "";
    } else {
      if (character === '"') isQuoted = !isQuoted;
      part += character;
    }
  }
  return isQuoted ? undefined : [...parts, part];
};

/** Undefined where quotes and backslashes are not as RFC 4514 §2.4 has them. */
const unquotedValue = (text: string): string | undefined => {
  const inside = /^"((?:[^"\\]|\\.)*)"$/.exec(text)?.[1];
  if (inside === undefined && text.replace(/\\./g, "").includes('"')) return undefined;
  if (!/^(?:[^\\]|\\[0-9a-f]{2}|\\[ "#+,/;<=>\\])*$/i.test(inside ?? text)) return undefined;
  try {
    return (inside ?? text).replace(
      /((?:\\[0-9a-f]{2})+)|\\(.)/gi,
      (_, pairs?: string, character?: string) =>
        pairs === undefined ? (character ?? "") : utf8.decode(Buffer.from(pairs.replaceAll("\\", ""), "hex")),
    );
  } catch {
    return undefined;
  }
};

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** PrintableString where it can be (X.680 §41.4), as strongSwan chooses (`atodn`); an e-mail address is an IA5String. */
const stringTag = (type: string, value: string): number => {
  if ((type === "E" || type === "unstructuredName") && /^\p{ASCII}*$/u.test(value)) return 0x16;
  return /^[A-Za-z0-9 '()+,./:=?-]*$/.test(value) ? 0x13 : 0x0c;
};

const decoders: ReadonlyMap<number, (bytes: Buffer) => string> = new Map([
  [0x0c, (bytes) => bytes.toString("utf8")],
  [0x13, (bytes) => bytes.toString("latin1")],
  [0x14, (bytes) => bytes.toString("latin1")],
  [0x16, (bytes) => bytes.toString("latin1")],
]);

type AttributeType = { readonly name: string; readonly oid?: string };

/** `x501rdns` in libstrongswan/utils/identification.c with the identifiers of its `asn1/oid.txt`; with others atodn() fails. */
const known: readonly (readonly [oid: string | undefined, name: string, ...aliases: string[]])[] = [
  ["2.5.4.3", "CN"],
  ["2.5.4.4", "SN"],
  ["2.5.4.5", "serialNumber"],
  ["2.5.4.6", "C"],
  ["2.5.4.7", "L"],
  ["2.5.4.8", "ST"],
  ["2.5.4.9", "STREET"],
  ["2.5.4.10", "O"],
  ["2.5.4.11", "OU"],
  ["2.5.4.12", "T"],
  ["2.5.4.13", "D"],
  ["2.5.4.16", "postalAddress"],
  ["2.5.4.17", "postalCode"],
  ["2.5.4.41", "N"],
  ["2.5.4.42", "G"],
  ["2.5.4.43", "I"],
  ["2.5.4.45", "ID"],
  ["2.5.4.46", "dnQualifier"],
  ["2.5.4.54", "dmdName"],
  ["2.5.4.65", "pseudonym"],
  ["0.9.2342.19200300.100.1.1", "UID"],
  ["0.9.2342.19200300.100.1.25", "DC"],
  ["1.2.840.113549.1.9.1", "E", "Email", "emailAddress"],
  ["1.2.840.113549.1.9.2", "unstructuredName", "UN"],
  ["1.2.840.113549.1.9.8", "unstructuredAddress", "UA"],
  ["2.16.840.1.113730.3.1.3", "employeeNumber", "EN"],
  [undefined, "ND"],
  [undefined, "TCGID"],
];

const attributeTypes: ReadonlyMap<string, AttributeType> = new Map(
  known.flatMap(([oid, name, ...aliases]) =>
    [name, ...aliases].map((alias) => [alias.toLowerCase(), oid === undefined ? { name } : { name, oid }]),
  ),
);

const typesByOid: ReadonlyMap<string, string> = new Map(
  known.flatMap(([oid, name]) =>
    oid === undefined ? [] : [[Buffer.from(objectIdentifier(oid)).toString("hex"), name]],
  ),
);
