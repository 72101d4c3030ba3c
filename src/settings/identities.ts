import type { Certificate } from "../ipsec/certificate.ts";
import { readName, sameName } from "../ipsec/distinguished-name.ts";
import { type Identity, identityOfEndpoint } from "../ipsec/identity.ts";
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

/** The subject first, unless it names nobody. */
export const identitiesIn = ({
  subject,
  hasEmptySubject,
  alternativeNames,
}: Certificate): readonly Identity[] => [...(hasEmptySubject ? [] : [subject]), ...alternativeNames];

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
  const [names, others] = [readName(one.text), readName(other.text)];
  return !("fault" in names) && !("fault" in others) && sameName(names, others);
};
