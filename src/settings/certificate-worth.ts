import type { KeyObject } from "node:crypto";
import { quoted } from "../failure.ts";
import type { Certificate } from "../ipsec/certificate.ts";
import type { Identity } from "../ipsec/identity.ts";
import type { Collector, Context } from "./cross-checks.ts";
import { identitiesIn } from "./identities.ts";
import type { VariableName } from "./variables.ts";

/** What a certificate is worth by itself: whether it is valid now and for a while, and how hard it is to forge. */
export const checkCertificate = (
  name: VariableName,
  certificate: Certificate,
  { nameOf, now }: Context,
  { error, warn }: Collector,
): void => {
  const what = `${nameOf(name)}: the certificate ${nameFor(certificate)}`;
  const { notBefore, notAfter, isSelfSigned, publicKey, weakSignature } = certificate;
  const daysLeft = Math.floor((notAfter.getTime() - now.getTime()) / millisecondsADay);
  const renewal = "have it renewed, and check the clock of this host (date -u)";
  if (notAfter < now) error([name], `${what} has expired on ${day(notAfter)}`, renewal);
  else if (notBefore > now) error([name], `${what} is not valid before ${day(notBefore)}`, renewal);
  else if (daysLeft < 30)
    warn(
      [name],
      `${what} expires in ${daysLeft} days, on ${day(notAfter)}`,
      "have it renewed, then reload: vnf-ipsec reload",
    );
  const weak = weakKey(publicKey);
  if (weak !== undefined)
    warn([name], `${what} has ${weak}, which is too weak (RFC 8247)`, "RSA of 3072 bits, P-256 or Ed25519");
  // Nobody relies on the signature of a root.
  if (weakSignature !== undefined && !isSelfSigned)
    warn(
      [name],
      `${what} is signed over ${weakSignature}, which can be forged (RFC 8247)`,
      "have it signed over SHA-256 or better",
    );
};

/** Whoever made a certificate may have written anything into it. */
export const shown = (identity: Identity): string => quoted(identity.kind === "any" ? "%any" : identity.text);

/** By what people know it. */
export const nameFor = (certificate: Certificate): string => {
  const [first] = identitiesIn(certificate);
  return first === undefined ? `with SHA-256 ${certificate.fingerprint}` : shown(first);
};

const millisecondsADay = 86_400_000;

const day = (date: Date): string => date.toISOString().slice(0, 10);

/** What RFC 8247 §3 and the strength of 112 bits leave out; undefined for what is strong enough. */
const weakKey = ({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): string | undefined => {
  const { modulusLength, namedCurve = "" } = asymmetricKeyDetails ?? {};
  if (asymmetricKeyType === "rsa" && modulusLength !== undefined && modulusLength < 2048)
    return `an RSA key of ${modulusLength} bits`;
  return ["prime192v1", "secp224r1"].includes(namedCurve) ? `a key on ${namedCurve}` : undefined;
};
