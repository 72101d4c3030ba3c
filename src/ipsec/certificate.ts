import { createHash, type KeyObject, X509Certificate } from "node:crypto";
import { readDer } from "./der.ts";
import { decodeName, isPlainName, nameText } from "./distinguished-name.ts";
import { type Identity, longestEncoded } from "./identity.ts";

/** A certificate (RFC 5280) with what a gateway must know of it. */
export type Certificate = {
  readonly der: Uint8Array;
  readonly pem: string;
  readonly subject: Extract<Identity, { readonly kind: "dn" }>;
  /** Whether the subject names nobody; the alternative names do, then. */
  readonly hasEmptySubject: boolean;
  /** Identities of the extension `subjectAltName`. */
  readonly alternativeNames: readonly Identity[];
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** Whether it may sign others (basic constraints). */
  readonly isAuthority: boolean;
  readonly isSelfSigned: boolean;
  /** Whether its key may sign what is no certificate (key usage); strongSwan refuses a peer whose may not. */
  readonly maySign: boolean;
  readonly publicKey: KeyObject;
  /** SHA-256 of all of it, as hex. */
  readonly fingerprint: string;
  /** By what it is signed, where that is too weak: `MD5` or `SHA-1`. */
  readonly weakSignature?: string;
  readonly isIssuedBy: (issuer: Certificate) => boolean;
};

/** Throws where bytes are no certificate. */
export const readCertificate = (bytes: Uint8Array): Certificate => {
  const certificate = new X509Certificate(bytes);
  const fields = fieldsOf(certificate.raw);
  const { publicKey } = certificate;
  const [notBefore, notAfter] = [new Date(certificate.validFrom), new Date(certificate.validTo)];
  if (Number.isNaN(notBefore.getTime() + notAfter.getTime())) throw new RangeError("a date cannot be read");
  return {
    der: certificate.raw,
    pem: `${certificate.toString().trim()}\n`,
    subject: identityOfName(fields.subject),
    hasEmptySubject: decodeName(fields.subject).attributes.length === 0,
    alternativeNames: fields.alternativeNames.flatMap(identityOfGeneralName),
    notBefore,
    notAfter,
    isAuthority: certificate.ca,
    // Not checkIssued(): for that its key must be for certificates, too.
    isSelfSigned: certificate.issuer === certificate.subject && certificate.verify(publicKey),
    maySign: fields.maySign,
    publicKey,
    fingerprint: createHash("sha256").update(certificate.raw).digest("hex"),
    ...weakness(fields.signatureAlgorithm),
    isIssuedBy: (issuer) => isIssued(certificate, new X509Certificate(issuer.der)),
  };
};

/** Whether both are of one CA, which others may have signed beside itself. */
export const isSameAuthority = (one: Certificate, other: Certificate): boolean =>
  one.subject.text === other.subject.text && one.publicKey.equals(other.publicKey);

const isIssued = (certificate: X509Certificate, issuer: X509Certificate): boolean =>
  certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);

type Fields = {
  readonly subject: Uint8Array;
  readonly alternativeNames: readonly { readonly tag: number; readonly content: Uint8Array }[];
  readonly maySign: boolean;
  /** Object identifier, as hex. */
  readonly signatureAlgorithm: string;
};

/** Of `Certificate` and `TBSCertificate` in RFC 5280 §4.1. */
const fieldsOf = (der: Uint8Array): Fields => {
  const [body, algorithm] = readDer(contentOf(readDer(der)[0]));
  const fields = readDer(contentOf(body));
  const version = fields[0]?.tag === 0xa0 ? 1 : 0;
  const extensions = fields.find(({ tag }) => tag === 0xa3);
  const all = readDer(contentOf(readDer(contentOf(extensions))[0])).map(({ content }) => readDer(content));
  const extension = (oid: string) => all.find(([identifier]) => hex(contentOf(identifier)) === oid)?.at(-1);
  const usage = extension("551d0f");
  return {
    subject: fields[version + 4]?.bytes ?? new Uint8Array(),
    alternativeNames: readDer(contentOf(readDer(contentOf(extension("551d11")))[0])),
    // Of the bit string (RFC 5280 §4.2.1.3) the first bits: digitalSignature and nonRepudiation.
    maySign: usage === undefined || ((readDer(usage.content)[0]?.content[1] ?? 0) & 0xc0) !== 0,
    signatureAlgorithm: hex(contentOf(readDer(contentOf(algorithm))[0])),
  };
};

const contentOf = (element: { readonly content: Uint8Array } | undefined): Uint8Array =>
  element?.content ?? new Uint8Array();

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

/**
 * A name as it stands in the certificate, since another encoding of the same text need not please every peer.
 * One that is too long for that is sent as text, if it can be.
 */
const identityOfName = (der: Uint8Array): Certificate["subject"] => {
  const { attributes, isSimple } = decodeName(der);
  const text = nameText(attributes);
  const encoded = hex(der);
  const isReadable = isSimple && isPlainName(text);
  return der.length <= longestEncoded || !isReadable ? { kind: "dn", text, encoded } : { kind: "dn", text };
};

/** RFC 5280 §4.2.1.6. What could not be written as an identity is left out. */
const identityOfGeneralName = ({
  tag,
  content,
}: {
  readonly tag: number;
  readonly content: Uint8Array;
}): readonly Identity[] => {
  const text = Buffer.from(content).toString("latin1");
  switch (tag) {
    case 0x81:
      return /^[\w.!#$%&'*+/=?^`|~-]+@[\w.-]+$/.test(text) ? [{ kind: "email", text }] : [];
    case 0x82:
      return /^[\w-][\w.-]*$/.test(text) ? [{ kind: "fqdn", text }] : [];
    case 0xa4:
      return [identityOfName(content)];
    case 0x87:
      return content.length === 4
        ? [{ kind: "ipv4", text: content.join(".") }]
        : content.length === 16
          ? [{ kind: "ipv6", text: ipv6Text(content) }]
          : [];
    default:
      return [];
  }
};

/** Canonical (RFC 5952), as our addresses are. */
const ipv6Text = (bytes: Uint8Array): string => {
  const groups = Array.from({ length: 8 }, (_, index) => hex(bytes.subarray(index * 2, index * 2 + 2)));
  return new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1);
};

/** RFC 8247 §4: signatures over SHA-1 are not to be used, and those over MD5 never were. */
const weakness = (algorithm: string): { readonly weakSignature?: string } => {
  const name = weakSignatures.get(algorithm);
  return name === undefined ? {} : { weakSignature: name };
};

/** md5WithRSAEncryption, sha1WithRSAEncryption (RFC 8017), dsa-with-sha1 (RFC 3279), ecdsa-with-SHA1 (RFC 5758). */
const weakSignatures: ReadonlyMap<string, string> = new Map([
  ["2a864886f70d010104", "MD5"],
  ["2a864886f70d010105", "SHA-1"],
  ["2a8648ce380403", "SHA-1"],
  ["2a8648ce3d0401", "SHA-1"],
]);
