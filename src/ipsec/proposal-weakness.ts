import type { Problem } from "../failure.ts";
import type { Algorithm } from "./algorithms.ts";

type Weakness = { readonly reason: string; readonly source: string };

/**
 * Why an algorithm should not be used, and who says so; undefined for one that may.
 * After RFC 8221 (ESP), RFC 8247 (IKEv2) and the page "Security Recommendations" of strongSwan's documentation.
 */
export const weaknessOf = ({ id }: Pick<Algorithm, "id">): Weakness | undefined => weaknesses[id];

/** A warning for each weak algorithm, once however often it is named. */
export const weakAlgorithms = (named: readonly Algorithm[]): readonly Problem[] => {
  const distinct = new Map(named.map((algorithm) => [algorithm.keyword, algorithm]));
  return [...distinct.values()].flatMap((algorithm) => {
    const weakness = weaknessOf(algorithm);
    if (weakness === undefined) return [];
    const message = `${algorithm.keyword} ${weakness.reason} (${weakness.source})`;
    return [{ message, hint: `use it only for a peer that knows nothing better than ${algorithm.keyword}` }];
  });
};

const recommendations = "strongSwan's security recommendations";
const brokenHash = {
  reason: "rests on MD5, which is broken",
  source: "RFC 8221 §6, RFC 8247 §2.2 and §2.3: MUST NOT",
};
const oldHash = { reason: "rests on SHA-1, which is on its way out", source: recommendations };
const smallBlock = { reason: "has blocks of 64 bits, too small for a busy tunnel", source: recommendations };
const plaintext = { reason: "does not encrypt: anyone on the path reads everything", source: "RFC 2410" };
const smallModulus = { reason: "has too short a modulus", source: "RFC 8247 §2.4: SHOULD NOT" };
const unexplainedPrime = {
  reason: "has a prime of unknown origin (RFC 5114)",
  source: "RFC 8247 §2.4: SHOULD NOT",
};
const smallCurve = {
  reason: "is less than 128 bits strong",
  source: "strongSwan's proposal.c, which never offers it by default",
};

const weaknesses: Readonly<Record<string, Weakness>> = {
  ENCR_NULL: plaintext,
  ENCR_NULL_AUTH_AES_GMAC: { ...plaintext, source: "RFC 4543" },
  ENCR_DES: { reason: "has a key of 56 bits", source: "RFC 8221 §5, RFC 8247 §2.1: MUST NOT" },
  ENCR_3DES: { ...smallBlock, source: `RFC 8221 §5: SHOULD NOT; ${recommendations}` },
  ENCR_BLOWFISH: smallBlock,
  ENCR_CAST: smallBlock,
  AUTH_HMAC_MD5_96: brokenHash,
  AUTH_HMAC_MD5_128: brokenHash,
  PRF_HMAC_MD5: brokenHash,
  AUTH_HMAC_SHA1_96: oldHash,
  AUTH_HMAC_SHA1_160: oldHash,
  PRF_HMAC_SHA1: oldHash,
  MODP_NULL: {
    reason: "agrees on no secret at all and is for tests only",
    source: "strongSwan's key_exchange.h",
  },
  MODP_768_BIT: { ...smallModulus, source: "RFC 8247 §2.4: MUST NOT" },
  MODP_1024_BIT: smallModulus,
  MODP_1536_BIT: smallModulus,
  MODP_1024_160: { ...unexplainedPrime, source: "RFC 8247 §2.4: MUST NOT" },
  MODP_2048_224: unexplainedPrime,
  MODP_2048_256: unexplainedPrime,
  ECP_192_BIT: { ...smallCurve, source: recommendations },
  ECP_224_BIT: smallCurve,
  ECP_224_BP: smallCurve,
};
