import type { KeyObject } from "node:crypto";
import { quoted } from "../failure.ts";
import { type Certificate, isSameAuthority } from "../ipsec/certificate.ts";
import type { Identity } from "../ipsec/identity.ts";
import type { Collector, Context } from "./cross-checks.ts";
import { identitiesIn } from "./identities.ts";
import type { VariableName } from "./variables.ts";

/**
 * What a certificate is worth by itself: whether it is valid now and for a while, and how hard it is to forge. Of those
 * beside it in its file matters only whether the connection can do without it.
 */
export const checkCertificate = (
  name: VariableName,
  certificate: Certificate,
  beside: readonly Certificate[],
  { nameOf, now }: Context,
  { error, warn }: Collector,
): void => {
  const what = `${nameOf(name)}: the certificate ${nameFor(certificate)}`;
  const { notBefore, notAfter, isSelfSigned, publicKey, weakSignature } = certificate;
  const daysLeft = Math.floor((notAfter.getTime() - now.getTime()) / millisecondsADay);
  const [tell, remedy] =
    name === "IPSEC_CA_CERT" && isDispensable(certificate, beside, now)
      ? [warn, "leave it out, unless the clock of this host is wrong (date -u); another root there is valid"]
      : [error, "have it renewed, and check the clock of this host (date -u)"];
  if (notAfter < now) tell([name], `${what} has expired on ${day(notAfter)}`, remedy);
  else if (notBefore > now) tell([name], `${what} is not valid before ${day(notBefore)}`, remedy);
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

/** Not where it is the same root as the valid one: strongSwan may take either as the issuer, and then judges it by its dates. */
const isDispensable = (certificate: Certificate, beside: readonly Certificate[], now: Date): boolean => {
  const valid = beside.filter(
    ({ isSelfSigned, isAuthority, notBefore, notAfter }) =>
      isSelfSigned && isAuthority && notBefore <= now && notAfter >= now,
  );
  const isRival = certificate.isSelfSigned && valid.some((root) => isSameAuthority(root, certificate));
  return valid.length > 0 && !isRival;
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
