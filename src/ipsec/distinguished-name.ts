import { derOf, objectIdentifier, readDer } from "./der.ts";

/** One attribute of a name, such as `CN=moon`. Its type is that of `attributeTypes`, or an object identifier in hex. */
export type Attribute = { readonly type: string; readonly value: string };

/**
 * Reads `C=DE, O="Example, Ltd.", CN=moon`, with the quotes and backslashes of RFC 4514, or `/C=DE/CN=moon`.
 * The reason, where it is no such name.
 */
export const readName = (text: string): readonly Attribute[] | { readonly fault: string } => {
  const separator = text.startsWith("/") ? "/" : ",";
  const attributes: Attribute[] = [];
  for (const part of splitName(separator === "/" ? text.slice(1) : text, separator) ?? [text]) {
    const at = part.indexOf("=");
    const type = attributeTypes.get(part.slice(0, at).trim().toLowerCase());
    const value = unquotedValue(part.slice(at + 1).trim());
    if (at < 0 || type === undefined || value === undefined || value === "") return { fault: part };
    attributes.push({ type: type.name, value });
  }
  return attributes;
};

/** Whether strongSwan reads the text as we do: its `atodn()` knows neither quotes nor backslashes. */
export const isPlainName = (text: string): boolean => !/["\\]/.test(text);

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

/** For people, and for strongSwan where it can read it. */
export const nameText = (attributes: readonly Attribute[]): string =>
  attributes
    .map(({ type, value }) => `${type}=${/[,"\\]|^\s|\s$/.test(value) ? escaped(value) : value}`)
    .join(", ");

/** Whether both name the same: types in their order, values in any case, as strongSwan compares most of them. */
export const sameName = (one: readonly Attribute[], other: readonly Attribute[]): boolean =>
  one.length === other.length &&
  one.every(({ type, value }, index) => {
    const twin = other[index];
    return type === twin?.type && value.toLowerCase() === twin.value.toLowerCase();
  });

const escaped = (value: string): string => `"${value.replace(/["\\]/g, "\\$&")}"`;

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
  if (inside === undefined && /^(?:[^"\\]|\\.)*$/.exec(text) === null) return undefined;
  return (inside ?? text).replace(/\\(.)/g, "$1");
};

/** PrintableString where it can be (X.680 §41.4), as strongSwan chooses (`atodn`); an e-mail address is an IA5String. */
const stringTag = (type: string, value: string): number => {
  if (type === "E" || type === "unstructuredName") return 0x16;
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
