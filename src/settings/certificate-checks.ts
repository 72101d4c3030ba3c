import type { Certificate } from "../ipsec/certificate.ts";
import { fitsVici, type Identity, longestEncoded } from "../ipsec/identity.ts";
import { openPrivateKey } from "../ipsec/private-key.ts";
import { isCrossSigned } from "./authentication.ts";
import { checkCertificate, nameFor, shown } from "./certificate-worth.ts";
import type { Collector, Context } from "./cross-checks.ts";
import {
  bytesToWrite,
  certificateOf,
  confirmedBy,
  identitiesIn,
  isMatchedBy,
  localIdentity,
  remoteIdentity,
} from "./identities.ts";
import type { Values } from "./settings.ts";
import type { VariableName } from "./variables.ts";

/** What certificates and private key must be, each and together; what is given beside them in vain. */
export const checkCertificates = (values: Values, context: Context, collect: Collector): void => {
  checkWhatIsGiven(values, context, collect);
  if (values.IPSEC_AUTH !== "pubkey") return;
  for (const name of certificateVariables) {
    const all = values[name] ?? [];
    for (const certificate of all) checkCertificate(name, certificate, all, context, collect);
  }
  checkPrivateKey(values, context, collect);
  checkChain(values, context, collect);
  checkAuthorities(values, context, collect);
  checkPeerCertificate(values, context, collect);
  checkUsage(values, context, collect);
  checkIdentities(values, context, collect);
};

const certificateVariables = ["IPSEC_CERT", "IPSEC_CA_CERT", "IPSEC_REMOTE_CERT"] as const;

const checkWhatIsGiven = (values: Values, context: Context, { error, warn }: Collector): void => {
  const idle =
    values.IPSEC_AUTH === "pubkey"
      ? (["IPSEC_PSK"] as const)
      : ([...certificateVariables, "IPSEC_PRIVATE_KEY", "IPSEC_PRIVATE_KEY_PASSPHRASE"] as const);
  for (const name of idle.filter((one) => context.isGiven(one))) {
    warn(
      [name, "IPSEC_AUTH"],
      `${name} has no effect with IPSEC_AUTH=${values.IPSEC_AUTH}`,
      values.IPSEC_AUTH === "pubkey" ? "leave it out" : "set IPSEC_AUTH=pubkey, or leave it out",
    );
  }
  if (values.IPSEC_AUTH !== "pubkey") return;
  const lacks = (name: VariableName): boolean => !context.isGiven(name) && !context.hasFailed(name);
  for (const name of ["IPSEC_CERT", "IPSEC_PRIVATE_KEY"] as const) {
    if (!lacks(name)) continue;
    error(
      [name, "IPSEC_AUTH"],
      `${name} is not set, which IPSEC_AUTH=pubkey needs`,
      `name a PEM file in ${name}_FILE; docs/certificates.md shows how to make one`,
    );
  }
  const [lacksAuthority, lacksPeer] = [lacks("IPSEC_CA_CERT"), lacks("IPSEC_REMOTE_CERT")];
  if (lacksAuthority && lacksPeer) {
    error(
      ["IPSEC_CA_CERT", "IPSEC_REMOTE_CERT", "IPSEC_AUTH"],
      "neither IPSEC_CA_CERT nor IPSEC_REMOTE_CERT is set, so no certificate of a peer would be trusted",
      "name the peer's CA in IPSEC_CA_CERT_FILE, or the peer's certificate itself in IPSEC_REMOTE_CERT_FILE",
    );
  }
  if (!lacksAuthority && !lacksPeer) {
    error(
      ["IPSEC_CA_CERT", "IPSEC_REMOTE_CERT"],
      "IPSEC_CA_CERT and IPSEC_REMOTE_CERT are both set",
      "keep IPSEC_REMOTE_CERT to trust this one certificate, or IPSEC_CA_CERT to trust its CA",
    );
  }
};

const checkPrivateKey = (values: Values, { nameOf }: Context, { error }: Collector): void => {
  const { IPSEC_CERT: certificates, IPSEC_PRIVATE_KEY: given } = values;
  if (given === undefined) return;
  const opened = openPrivateKey(given, values.IPSEC_PRIVATE_KEY_PASSPHRASE);
  if (!opened.ok) {
    error(
      ["IPSEC_PRIVATE_KEY", "IPSEC_PRIVATE_KEY_PASSPHRASE"],
      `${nameOf("IPSEC_PRIVATE_KEY")}: the private key ${opened.problem.message}`,
      opened.problem.hint ?? "openssl pkey -in FILE -noout",
    );
    return;
  }
  const { publicKey } = opened.value;
  const own = certificates?.[0];
  if (own !== undefined && !own.publicKey.equals(publicKey)) {
    const isBehind = certificates?.some((one) => one.publicKey.equals(publicKey)) === true;
    error(
      ["IPSEC_PRIVATE_KEY", "IPSEC_CERT"],
      `${nameOf("IPSEC_PRIVATE_KEY")}: the private key is not that of the certificate ${nameFor(own)} in ${nameOf("IPSEC_CERT")}`,
      isBehind
        ? "put the certificate of this gateway first, those of its CAs after it"
        : "compare openssl pkey -in KEY -pubout with openssl x509 -in CERT -noout -pubkey",
    );
  }
  checkSignature("IPSEC_PRIVATE_KEY", publicKey, values, error);
};

const checkSignature = (
  name: VariableName,
  { asymmetricKeyType: kind }: Certificate["publicKey"],
  { IPSEC_KEYEXCHANGE: version }: Values,
  error: Collector["error"],
): void => {
  if (kind?.startsWith("ed") !== true || version !== "ikev1") return;
  error(
    [name, "IPSEC_KEYEXCHANGE"],
    `IKEv1 knows no ${kind === "ed448" ? "Ed448" : "Ed25519"} signatures, which are of IKEv2 (RFC 8420)`,
    "set IPSEC_KEYEXCHANGE=ikev2, or take an RSA or ECDSA key",
  );
};

const checkChain = (values: Values, { nameOf }: Context, { error, warn }: Collector): void => {
  const [own, ...others] = values.IPSEC_CERT ?? [];
  if (own === undefined) return;
  for (const other of others.filter(({ isAuthority }) => !isAuthority)) {
    error(
      ["IPSEC_CERT"],
      `${nameOf("IPSEC_CERT")}: the certificate ${nameFor(other)} after the first is not that of a CA`,
      "only the first is this gateway's own; intermediate CAs follow",
    );
  }
  const authorities = values.IPSEC_CA_CERT ?? [];
  const issuers = [...others, ...authorities].filter((one) => !isCrossSigned(one, authorities));
  const last = endOfChain(own, issuers);
  if (last.isSelfSigned) return;
  warn(
    ["IPSEC_CERT"],
    `${nameOf("IPSEC_CERT")}: who signed ${nameFor(last)} is not given, so the peer must know that CA`,
    "if it is a root that the peer has, all is well; put an intermediate CA after the certificate",
  );
};

const endOfChain = (certificate: Certificate, issuers: readonly Certificate[]): Certificate => {
  const issuer = certificate.isSelfSigned
    ? undefined
    : issuers.find((one) => one.isAuthority && certificate.isIssuedBy(one));
  return issuer === undefined
    ? certificate
    : endOfChain(
        issuer,
        issuers.filter((one) => one !== issuer),
      );
};

const checkAuthorities = (values: Values, { nameOf }: Context, { error }: Collector): void => {
  const authorities = values.IPSEC_CA_CERT;
  if (authorities === undefined) return;
  for (const one of authorities.filter(({ isAuthority }) => !isAuthority)) {
    error(
      ["IPSEC_CA_CERT"],
      `${nameOf("IPSEC_CA_CERT")}: ${nameFor(one)} is not a CA (basic constraints, key usage), so it can vouch for nobody`,
      "give the certificate of the CA; that of the peer itself belongs into IPSEC_REMOTE_CERT",
    );
  }
  const roots = authorities.filter(({ isSelfSigned, isAuthority }) => isSelfSigned && isAuthority);
  // strongSwan trusts nothing else (credential_manager.c, verify_trust_chain).
  if (roots.length === 0 && authorities.every(({ isAuthority }) => isAuthority)) {
    error(
      ["IPSEC_CA_CERT"],
      `${nameOf("IPSEC_CA_CERT")} holds no root, which signs itself: a chain of trust ends there`,
      "add the certificate of the root CA; intermediates may stay",
    );
  }
  // ipsec.conf(5) has one `rightca`, and what is trusted for one connection must not be for another.
  if (roots.length > 1 && values.IPSEC_BACKEND === "stroke") {
    error(
      ["IPSEC_CA_CERT", "IPSEC_BACKEND"],
      `${nameOf("IPSEC_CA_CERT")} holds ${roots.length} roots, and ipsec.conf can name one for a connection`,
      "set IPSEC_BACKEND=swanctl, or keep the root of the peer alone",
    );
  }
};

/** Of the ends themselves; CAs sign certificates. */
const checkUsage = (values: Values, { nameOf }: Context, { error }: Collector): void => {
  for (const name of ["IPSEC_CERT", "IPSEC_REMOTE_CERT"] as const) {
    const [certificate, ...others] = values[name] ?? [];
    if (certificate === undefined || certificate.maySign) continue;
    // A CA before the gateway's own has been told of.
    if (certificate.isAuthority && others.length > 0) continue;
    error(
      [name],
      `${nameOf(name)}: the certificate ${nameFor(certificate)} is not for signatures (key usage), and IKE signs`,
      "have it made with keyUsage = digitalSignature",
    );
  }
};

const checkPeerCertificate = (values: Values, { nameOf }: Context, { error }: Collector): void => {
  const [peer, ...others] = values.IPSEC_REMOTE_CERT ?? [];
  if (peer !== undefined) checkSignature("IPSEC_REMOTE_CERT", peer.publicKey, values, error);
  if (others.length === 0) return;
  error(
    ["IPSEC_REMOTE_CERT"],
    `${nameOf("IPSEC_REMOTE_CERT")} holds several certificates`,
    "keep the peer's own alone: it is trusted by itself, not by its CA",
  );
};

const checkIdentities = (
  values: Values,
  { nameOf, hasFailed }: Context,
  { error, warn }: Collector,
): void => {
  const { IPSEC_REMOTEIP: remote, IPSEC_REMOTEID: remoteId, IPSEC_CA_CERT: authorities } = values;
  if (
    remote?.kind === "address" &&
    remoteId === undefined &&
    authorities !== undefined &&
    !hasFailed("IPSEC_REMOTEID")
  ) {
    warn(
      ["IPSEC_REMOTEID", "IPSEC_REMOTEIP"],
      `IPSEC_REMOTEID is not set, so the peer's certificate must have the address ${remote.address.text} as an alternative name`,
      "set IPSEC_REMOTEID to the subject of the peer's certificate, for example 'C=DE, O=Example, CN=sun.example.com'",
    );
  }
  for (const [name, source, presented] of [
    ["IPSEC_LOCALID", "IPSEC_CERT", localIdentity(values)],
    ["IPSEC_REMOTEID", "IPSEC_REMOTE_CERT", remoteIdentity(values)],
  ] as const) {
    const [identity, certificate] = [values[name], certificateOf(values, source)];
    if (certificate === undefined) continue;
    if (values.IPSEC_BACKEND === "swanctl" && presented !== undefined && !fitsVici(presented)) {
      error(
        [name, source, "IPSEC_BACKEND"],
        `${nameOf(source)}: the subject ${shown(presented)} of the certificate is longer than the ${longestEncoded} bytes in DER that vici takes`,
        `set ${name} to a shorter name, such as an alternative name of the certificate, or IPSEC_BACKEND=stroke`,
      );
    }
    const names = identitiesIn(certificate);
    if (identity === undefined && names.length === 0) {
      error(
        [name, source],
        `${nameOf(source)}: the certificate names nobody, neither as its subject nor as an alternative name`,
        "have one made with a subject, for example -subj /C=DE/O=Example/CN=moon.example.com",
      );
    }
    if (identity === undefined || confirmedBy(certificate, identity) !== undefined) continue;
    // One to present is neither anybody nor has it a wildcard, which is said elsewhere.
    if (name === "IPSEC_LOCALID" && (identity.kind === "any" || identity.text.includes("*"))) continue;
    if (isMatchedBy(certificate, identity)) continue;
    error(
      [name, source],
      `${name}=${shown(identity)} ${absence[identity.kind] ?? "is not"} in the certificate of ${nameOf(source)}, which has ${names.map(toTake).join(", ") || "no name"}`,
      `take one of these, or leave ${name} out for the first`,
    );
  }
};

/** Shown to its end, since a part of it is of no use; the text of a subject has no character that cannot be printed. */
const toTake = (identity: Identity): string =>
  bytesToWrite(identity) ??
  (identity.kind === "dn" && fitsVici(identity) ? JSON.stringify(identity.text) : shown(identity));

const absence: Partial<Record<Identity["kind"], string>> = {
  // strongSwan would take the subject in its place (build_auth_cfg() in stroke_config.c, peer_sn() in vici_config.c).
  any: "chooses no identity",
  // strongSwan would look: by subject key identifier, serial number and fingerprints (has_subject() in x509_cert.c).
  keyid: "is a key identifier, which is not looked for",
};
