import type { Authentication } from "../ipsec/authentication.ts";
import { openPrivateKey } from "../ipsec/private-key.ts";
import type { Values } from "./settings.ts";

/** How a connection authenticates. The checks have made sure that all of it is there, and throw no more. */
export const authenticationOf = (values: Values): Authentication => {
  if (values.IPSEC_AUTH === "psk") return { method: "psk", psk: present(values.IPSEC_PSK) };
  const [certificate, ...others] = values.IPSEC_CERT ?? [];
  const privateKey = openPrivateKey(present(values.IPSEC_PRIVATE_KEY), values.IPSEC_PRIVATE_KEY_PASSPHRASE);
  if (!privateKey.ok) throw new Error(`unchecked: ${privateKey.problem.message}`);
  const authorities = values.IPSEC_CA_CERT ?? [];
  const [pinned] = values.IPSEC_REMOTE_CERT ?? [];
  return {
    method: "pubkey",
    certificate: present(certificate),
    intermediates: others.filter(({ isSelfSigned }) => !isSelfSigned),
    privateKey: privateKey.value.pem,
    revocation: values.IPSEC_REVOCATION,
    trust:
      pinned === undefined
        ? {
            kind: "authorities",
            roots: authorities.filter(({ isSelfSigned }) => isSelfSigned),
            intermediates: authorities.filter(({ isSelfSigned }) => !isSelfSigned),
          }
        : { kind: "certificate", certificate: pinned },
  };
};

const present = <T>(value: T | undefined): T => {
  if (value === undefined) throw new Error("unchecked: a credential is missing");
  return value;
};
