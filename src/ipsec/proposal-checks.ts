import type { Problem } from "../failure.ts";
import type { Algorithm } from "./algorithms.ts";
import type { Proposal } from "./proposal.ts";
import { isCipher, isIntegrity, pseudoRandomFunctions } from "./proposal-rules.ts";

/**
 * Algorithms that Linux has no ESP for, a problem each: strongSwan knows no kernel name for them, so the SA
 * could be negotiated but not installed. IKE proposals have none.
 */
export const withoutLinuxEsp = (proposals: readonly Proposal[]): readonly Problem[] =>
  distinct(proposals, "esp")
    .filter((algorithm) => (isCipher(algorithm) || isIntegrity(algorithm)) && !algorithm.linuxEsp)
    .map(({ keyword }) => ({
      message: `${keyword} cannot be used in the kernel: Linux has no ESP for it`,
      hint: "choose another algorithm, for example aes256gcm16",
    }));

/** The same for strongSwan's ESP in user space: what libipsec refuses (create_aead in esp_context.c, ipsec_sa.c). */
export const withoutUserspaceEsp = (proposals: readonly Proposal[]): readonly Problem[] =>
  distinct(proposals, "esp")
    .filter(({ id }) => id === "ENCR_NULL_AUTH_AES_GMAC" || id === "EXT_SEQ_NUMBERS")
    .map(({ keyword }) => ({
      message: `${keyword} cannot be used in user space: strongSwan's libipsec does not support it`,
      hint: keyword === "esn" ? "leave it out" : "choose another algorithm, for example aes256gcm16",
    }));

/**
 * Keywords that a version of strongSwan, such as `5.9.8` or `U6.0.6`, does not know yet or any more; it would
 * discard the whole connection. None when the version cannot be read.
 */
export const unsupportedBy = (proposals: readonly Proposal[], version: string): readonly Problem[] => {
  const installed = /\d+\.\d+/.exec(version)?.[0];
  if (installed === undefined) return [];
  return distinct(proposals).flatMap(({ keyword, since, removedIn }) => {
    if (since !== undefined && isOlder(installed, since)) {
      return [
        { message: `${keyword} needs strongSwan ${since}, and ${version} is installed`, hint: upgradeHint },
      ];
    }
    if (removedIn !== undefined && !isOlder(installed, removedIn)) {
      const message = `${keyword} is not in strongSwan since ${removedIn}, and ${version} is installed`;
      return [{ message, hint: "choose another key exchange, for example x25519-ke1_mlkem768" }];
    }
    return [];
  });
};

const upgradeHint = "take an image with that version, or leave the keyword out";

const isOlder = (one: string, other: string): boolean => {
  const [[major = 0, minor = 0], [otherMajor = 0, otherMinor = 0]] = [numbers(one), numbers(other)] as const;
  return major < otherMajor || (major === otherMajor && minor < otherMinor);
};

const numbers = (version: string): readonly number[] => version.split(".").map(Number);

const distinct = (proposals: readonly Proposal[], protocol?: Proposal["protocol"]): readonly Algorithm[] => {
  const concerned = proposals.filter((proposal) => protocol === undefined || proposal.protocol === protocol);
  const named = concerned.flatMap(({ algorithms }) => algorithms.map((one) => [one.keyword, one] as const));
  return [...new Map(named).values()];
};

/**
 * The same offers as IKEv1 can make them: one algorithm of each type in a proposal (RFC 2409 §5), in the order of
 * preference. Of a proposal with several, strongSwan would offer the first of each type only
 * (set_from_proposal_v1 in proposal_substructure.c). What IKEv1 has no number for is left out; see `unusableWithIkev1`.
 */
export const usableWithIkev1 = (proposals: readonly Proposal[]): readonly Proposal[] => {
  const usable = new Map<string, Proposal>();
  for (const proposal of proposals) {
    for (const algorithms of combinations(proposal)) {
      // The number of a transform is one byte (RFC 2408 §3.6).
      if (usable.size === 255) return [...usable.values()];
      const key = algorithms.map(({ keyword }) => keyword).join("-");
      if (!usable.has(key)) usable.set(key, { protocol: proposal.protocol, algorithms });
    }
  }
  return [...usable.values()];
};

/** What of each proposal IKEv1 cannot offer; a problem or a warning, as the caller sees fit. */
export const unusableWithIkev1 = (proposals: readonly Proposal[]): readonly Problem[] =>
  proposals.flatMap((proposal, index) => {
    const { algorithms, protocol } = proposal;
    const lost = algorithms
      .filter((algorithm) => !isKnown(algorithm, protocol))
      .map(({ keyword }) => keyword);
    const which = proposals.length > 1 ? `proposal ${index + 1}` : "the proposal";
    const isLeftOut = combinations(proposal).next().done === true;
    if (lost.length === 0 && !isLeftOut) return [];
    const reason =
      lost.length > 0 ? `has no ${lost.join(", ")}` : "takes the PRF from the integrity algorithm";
    const message = `IKEv1 ${reason}, so ${which} is ${isLeftOut ? "left out" : "offered without"}`;
    return [{ message, hint: "for IKEv1 list classic proposals, for example aes256-sha256-modp3072" }];
  });

/** Every choice of one algorithm per type, the first types varying slowest. */
function* combinations({ protocol, algorithms }: Proposal): Generator<readonly Algorithm[]> {
  // Without its additional exchanges a proposal would be weaker than what was asked for.
  if (algorithms.some(isAdditional)) return;
  const known = algorithms.filter((algorithm) => isKnown(algorithm, protocol));
  const prfs = pseudoRandomFunctions(algorithms).map(({ keyword }) => keyword);
  const exchanges = orNone(known.filter(({ transform }) => transform === "ke"));
  const sequenceNumbers = orNone(known.filter(({ transform }) => transform === "esn"));
  for (const cipher of known.filter(isCipher)) {
    const hashes = known.filter(isIntegrity);
    if (cipher.transform === "encryption" && hashes.length === 0) continue;
    for (const hash of cipher.transform === "aead" ? [undefined] : hashes) {
      // Hash and PRF are one attribute of IKEv1's own SA (RFC 2409 §4).
      if (protocol === "ike" && (hash?.prf === undefined || !prfs.includes(hash.prf))) continue;
      for (const exchange of exchanges) {
        if (protocol === "ike" && isNone(exchange)) continue;
        for (const numbers of sequenceNumbers) {
          yield [cipher, hash, isNone(exchange) ? undefined : exchange, numbers].filter(
            (one) => one !== undefined,
          );
        }
      }
    }
  }
}

const orNone = <T>(choices: readonly T[]): readonly (T | undefined)[] =>
  choices.length > 0 ? choices : [undefined];

const isNone = (algorithm: Algorithm | undefined): boolean =>
  algorithm === undefined || algorithm.id === "KE_NONE";

const isAdditional = ({ transform }: Algorithm): boolean => /^ke\d/.test(transform);

/** Whether strongSwan has an IKEv1 number for it (map_encr, map_integ, map_esp, map_auth in proposal_substructure.c). */
const isKnown = (algorithm: Algorithm, protocol: Proposal["protocol"]): boolean => {
  if (isAdditional(algorithm) || algorithm.id.startsWith("ML_KEM")) return false;
  if (isCipher(algorithm)) {
    const isOnlyInEsp = algorithm.transform === "aead" || /_(?:CTR|NULL)$/.test(algorithm.id);
    return protocol === "ike" ? !isOnlyInEsp : !/CHACHA20|CAMELLIA_(?:CTR|CCM)/.test(algorithm.id);
  }
  if (isIntegrity(algorithm)) {
    return knownHashes.includes(algorithm.id) || (protocol === "esp" && algorithm.id === "AUTH_AES_XCBC_96");
  }
  return true;
};

const knownHashes: readonly string[] = [
  "AUTH_HMAC_MD5_96",
  "AUTH_HMAC_SHA1_96",
  "AUTH_HMAC_SHA2_256_128",
  "AUTH_HMAC_SHA2_384_192",
  "AUTH_HMAC_SHA2_512_256",
];
