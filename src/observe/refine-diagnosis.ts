import type { CharonContext, IkeSaContext } from "./charon-context.ts";
import type { CharonLine } from "./charon-line.ts";
import { type Diagnosis, diagnosisOf } from "./diagnosis.ts";
import { differsInKeyExchangeOnly } from "./proposal-difference.ts";

/**
 * What a diagnosis becomes in the light of the lines before: a more precise cause, the values that belong to it, or
 * `undefined` where the same words mean nothing.
 */
export const refineDiagnosis = (
  diagnosis: Diagnosis,
  line: CharonLine,
  context: CharonContext,
): Diagnosis | undefined => {
  const sa = context.ikeSa(line);
  switch (diagnosis.cause) {
    case "ike-proposal-mismatch":
    case "child-proposal-mismatch":
      return withProposals(diagnosis, sa);
    case "ike-refused":
      // IKEv1 words both phases alike.
      return sa?.established && isIkev1Notify(line) ? diagnosisOf(childRefused, {}) : diagnosis;
    case "child-refused":
      // The first CHILD SA of IKEv2 has no key exchange of its own: what passed once and fails now is its group.
      return sa?.childInProgress !== undefined && sa.childrenBuilt.has(sa.childInProgress)
        ? diagnosisOf({ cause: "pfs-mismatch" }, {})
        : diagnosis;
    case "traffic-selector-mismatch":
      // Some IKEv1 peers answer a wrong identity with the words for wrong networks.
      return isIkev1Notify(line) && sa !== undefined && !sa.established
        ? diagnosisOf({ cause: "identity-mismatch", vague: true }, {})
        : diagnosis;
    case "psk-mismatch":
      // Later garbage is no matter of keys: the peer, or someone in its name, sent it.
      return line.kind === "charon" && line.group === "ENC" && sa?.established ? undefined : diagnosis;
    case "authentication-failed":
      return sa?.signed && diagnosis.variables.includes("IPSEC_PSK")
        ? diagnosisOf(signatureRefused, {})
        : diagnosis;
    case "identity-mismatch":
      return withValues(diagnosis, { localId: sa?.localId, remoteId: sa?.remoteId });
    case "esp-unavailable":
    case "policy-refused":
      return withValues(diagnosis, { reason: sa?.netlinkReason });
    case "no-route":
    case "no-socket":
    case "blocked-by-firewall":
      return withValues(diagnosis, {
        localAddress: context.lastSent()?.localAddress,
        remoteAddress: context.lastSent()?.remoteAddress,
      });
    case "name-unresolvable":
      return withValues(diagnosis, { reason: context.resolverReason(diagnosis.values.name ?? "") });
    case "secrets-unreadable":
      return withValues(diagnosis, { file: context.secretsFile() });
    case "configuration-invalid":
      return withValues(diagnosis, { complaint: context.starterComplaint() });
    default:
      return diagnosis;
  }
};

const signatureRefused = {
  cause: "authentication-failed",
  vague: true,
  variables: ["IPSEC_CERT", "IPSEC_LOCALID", "IPSEC_REMOTEID", "IPSEC_AUTH"],
  meaning: "the peer rejected our certificate or an identity; it does not say which",
  remedy:
    "the peer must use certificates as well, trust the CA of IPSEC_CERT, expect IPSEC_LOCALID and have IPSEC_REMOTEID; its log tells which it is",
} as const;

const childRefused = { cause: "child-refused", vague: true } as const;

const isIkev1Notify = (line: CharonLine): boolean => line.message.endsWith(" error notify");

const withProposals = (diagnosis: Diagnosis, sa: IkeSaContext | undefined): Diagnosis => {
  const received = sa?.receivedProposals;
  const configured = sa?.configuredProposals;
  if (received === undefined || configured === undefined) return diagnosis;
  const cause = received.startsWith("IKE:")
    ? "ike-proposal-mismatch"
    : differsInKeyExchangeOnly(received, configured)
      ? "pfs-mismatch"
      : "child-proposal-mismatch";
  return diagnosisOf({ cause }, { received, configured });
};

/** charon's own values win. */
const withValues = (
  diagnosis: Diagnosis,
  values: Readonly<Record<string, string | undefined>>,
): Diagnosis => ({
  ...diagnosis,
  values: { ...diagnosisOf(diagnosis, values).values, ...diagnosis.values },
});
