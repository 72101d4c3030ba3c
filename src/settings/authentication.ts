import type { Authentication } from "../ipsec/authentication.ts";
import { type Certificate, isSameAuthority } from "../ipsec/certificate.ts";
import { openPrivateKey } from "../ipsec/private-key.ts";
import type { Values } from "./settings.ts";

/** How a connection authenticates. The checks have made sure that all of it is there, and throw no more. */
export const authenticationOf = (values: Values): Authentication => {
  if (values.IPSEC_AUTH === "psk") return { method: "psk", psk: present(values.IPSEC_PSK) };
  const [certificate] = values.IPSEC_CERT ?? [];
  const privateKey = openPrivateKey(present(values.IPSEC_PRIVATE_KEY), values.IPSEC_PRIVATE_KEY_PASSPHRASE);
  if (!privateKey.ok) throw new Error(`unchecked: ${privateKey.problem.message}`);
  const { roots, trusted, own } = authoritiesIn(values);
  const [pinned] = values.IPSEC_REMOTE_CERT ?? [];
  return {
    method: "pubkey",
    certificate: present(certificate),
    intermediates: own,
    privateKey: privateKey.value.pem,
    revocation: values.IPSEC_REVOCATION,
    trust:
      pinned === undefined
        ? { kind: "authorities", roots, intermediates: trusted }
        : { kind: "certificate", certificate: pinned },
  };
};

/** The CAs that a connection is given: roots, what is trusted below them, and what is between our certificate and its root. */
export const authoritiesIn = (values: Values) => {
  const [, ...others] = values.IPSEC_CERT ?? [];
  const given = values.IPSEC_CA_CERT ?? [];
  const roots = given.filter(({ isSelfSigned }) => isSelfSigned);
  const isBetween = (one: Certificate): boolean => !one.isSelfSigned && !isCrossSigned(one, roots);
  return { roots, trusted: given.filter(isBetween), own: others.filter(isBetween) };
};

/**
 * Whether it is that of a root, signed by another CA. strongSwan would find it before the root and follow it to an issuer
 * that it does not know (get_issuer_cert() in credential_manager.c).
 */
export const isCrossSigned = (certificate: Certificate, roots: readonly Certificate[]): boolean =>
  !certificate.isSelfSigned && roots.some((root) => root.isSelfSigned && isSameAuthority(root, certificate));

const present = <T>(value: T | undefined): T => {
  if (value === undefined) throw new Error("unchecked: a credential is missing");
  return value;
};
