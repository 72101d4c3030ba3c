import type { Certificate } from "../ipsec/certificate.ts";
import { type Attribute, decodeName, readName, sameName } from "../ipsec/distinguished-name.ts";
import { fitsVici, type Identity, identityOfEndpoint, parseIdentity } from "../ipsec/identity.ts";
import type { Values } from "./settings.ts";

/** As whom this end presents itself; undefined where nothing tells. */
export const localIdentity = (values: Values): Identity | undefined =>
  identityOf(values.IPSEC_LOCALID, certificateOf(values, "IPSEC_CERT")) ??
  (values.IPSEC_LOCALIP && identityOfEndpoint(values.IPSEC_LOCALIP));

/** As whom the peer must present itself; undefined where nothing tells. */
export const remoteIdentity = (values: Values): Identity | undefined =>
  identityOf(values.IPSEC_REMOTEID, certificateOf(values, "IPSEC_REMOTE_CERT")) ??
  (values.IPSEC_REMOTEIP && identityOfEndpoint(values.IPSEC_REMOTEIP));

/** The identity of a certificate that is meant, as the certificate writes it; undefined where it confirms no such one. */
export const confirmedBy = (certificate: Certificate, identity: Identity): Identity | undefined =>
  identitiesIn(certificate).find((one) => isSame(one, identity));

/** Whether a certificate has an identity that a pattern such as `*.example.com` or `C=DE, CN=*` stands for. */
export const isMatchedBy = (certificate: Certificate, pattern: Identity): boolean =>
  identitiesIn(certificate).some((one) => matches(one, pattern));

/** The subject first, unless it names nobody. */
export const identitiesIn = ({
  subject,
  hasEmptySubject,
  alternativeNames,
}: Certificate): readonly Identity[] => [...(hasEmptySubject ? [] : [subject]), ...alternativeNames];

/** The bytes of a subject, as a variable takes them, where its text is not read as the same; undefined where it is. */
export const bytesToWrite = (identity: Identity): string | undefined => {
  if (identity.kind !== "dn" || identity.encoded === undefined || !fitsVici(identity)) return undefined;
  const parsed = parseIdentity(identity.text);
  return parsed.ok && isSame(identity, parsed.value) ? undefined : `asn1dn:#${identity.encoded}`;
};

export const certificateOf = (
  values: Values,
  name: "IPSEC_CERT" | "IPSEC_REMOTE_CERT",
): Certificate | undefined => (values.IPSEC_AUTH === "pubkey" ? values[name]?.[0] : undefined);

const identityOf = (
  given: Identity | undefined,
  certificate: Certificate | undefined,
): Identity | undefined => {
  if (certificate === undefined) return given;
  return given === undefined ? identitiesIn(certificate)[0] : (confirmedBy(certificate, given) ?? given);
};

const isSame = (one: Identity, other: Identity): boolean => {
  if (one.kind === "any" || other.kind === "any" || one.kind !== other.kind) return false;
  if (one.kind !== "dn") return one.text.toLowerCase() === other.text.toLowerCase();
  return other.kind === "dn" && sameName(attributesOf(one), attributesOf(other));
};

/** As identification.c of libstrongswan: `*` at the head of a name or an address, or as a whole value of a subject. */
const matches = (one: Identity, pattern: Identity): boolean => {
  if (one.kind === "any" || pattern.kind === "any" || one.kind !== pattern.kind) return false;
  if (one.kind !== "dn")
    return (
      pattern.text.startsWith("*") && one.text.toLowerCase().endsWith(pattern.text.slice(1).toLowerCase())
    );
  if (pattern.kind !== "dn") return false;
  const names = attributesOf(one);
  const filled = attributesOf(pattern).map(({ type, value }, index) => ({
    type,
    value: value === "*" ? (names[index]?.value ?? "") : value,
  }));
  return sameName(names, filled);
};

/** Of the bytes, where there are any: the text of some attributes cannot be read. */
const attributesOf = ({
  text,
  encoded,
}: Extract<Identity, { readonly kind: "dn" }>): readonly Attribute[] => {
  if (encoded !== undefined) return decodeName(Buffer.from(encoded, "hex")).attributes;
  const attributes = readName(text);
  return "fault" in attributes ? [] : attributes;
};
