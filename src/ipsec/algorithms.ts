/** What IKE can negotiate, by the keywords of strongSwan (proposal_keywords_static.txt of 5.9.8 and 6.0.6). */
export type Algorithm = Encryption | Aead | Integrity | PseudoRandomFunction | KeyExchange | SequenceNumbers;

type Common = {
  readonly keyword: string;
  /** Transform ID (RFC 7296 §3.3.2), named as in strongSwan's headers. Aliases share it. */
  readonly id: string;
  /** Length of key, hash or modulus; 0 where there is none. */
  readonly keyBits: number;
  /** First strongSwan that knows the keyword. */
  readonly since?: Version;
  /** First strongSwan that knows it no longer. */
  readonly removedIn?: Version;
};
type Version = `${number}.${number}`;

type Cipher = Common & {
  /** Sent with each ESP packet. */
  readonly ivBytes: number;
  /** ESP pads to a multiple of this, and of 4 anyway (RFC 4303 §2.4). */
  readonly blockBytes: number;
  /** The length of the key is negotiated (RFC 7296 §3.3.5). */
  readonly hasKeyLength: boolean;
  /** strongSwan knows a name for it in Linux ESP (kernel_netlink_ipsec.c). */
  readonly linuxEsp: boolean;
};

/** A cipher that needs an integrity algorithm beside it. */
export type Encryption = Cipher & { readonly transform: "encryption" };

/** A combined-mode cipher, or one that only authenticates (GMAC). */
export type Aead = Cipher & { readonly transform: "aead"; readonly icvBytes: number };

export type Integrity = Common & {
  readonly transform: "integrity";
  readonly icvBytes: number;
  readonly linuxEsp: boolean;
  /** Keyword of the PRF that an IKE proposal without one gets (integ_prf_map in proposal.c). */
  readonly prf?: string;
};

export type PseudoRandomFunction = Common & { readonly transform: "prf" };

type KeyExchange = Common & {
  /** `ke1` to `ke7` are additional exchanges, types of their own (RFC 9370 §2.2.2). */
  readonly transform: "ke" | `ke${number}`;
  /** IANA number, what other vendors call the Diffie-Hellman group; absent for private use. */
  readonly group?: number;
};

type SequenceNumbers = Common & { readonly transform: "esn" };

const keySizes = [128, 192, 256] as const;

/** IV and block: RFC 2410 (null), RFC 2405 (DES), RFC 2451 (other CBC), RFC 3602 and RFC 3686 (AES), RFC 4312 and RFC 5529 (Camellia). */
const ciphers = (): readonly Encryption[] => {
  const cipher = (keyword: string, id: string, keyBits: number, facts: Partial<Encryption>): Encryption => ({
    transform: "encryption",
    keyword,
    id,
    keyBits,
    ivBytes: 16,
    blockBytes: 16,
    hasKeyLength: true,
    linuxEsp: true,
    ...facts,
  });
  // The name alone means the shortest key.
  const inEverySize = (name: string, id: string, facts: Partial<Encryption> = {}): readonly Encryption[] => [
    cipher(name, id, 128, facts),
    ...keySizes.map((bits) => cipher(`${name}${bits}`, id, bits, facts)),
  ];
  const counterMode = (name: string, id: string, linuxEsp: boolean): readonly Encryption[] =>
    keySizes.map((bits) => cipher(`${name}${bits}ctr`, id, bits, { ivBytes: 8, blockBytes: 1, linuxEsp }));
  const smallBlock = { ivBytes: 8, blockBytes: 8 };
  return [
    ...inEverySize("aes", "ENCR_AES_CBC"),
    ...counterMode("aes", "ENCR_AES_CTR", true),
    ...inEverySize("camellia", "ENCR_CAMELLIA_CBC"),
    ...counterMode("camellia", "ENCR_CAMELLIA_CTR", false),
    ...inEverySize("serpent", "ENCR_SERPENT_CBC"),
    ...inEverySize("twofish", "ENCR_TWOFISH_CBC"),
    ...inEverySize("blowfish", "ENCR_BLOWFISH", smallBlock),
    cipher("cast128", "ENCR_CAST", 128, smallBlock),
    cipher("3des", "ENCR_3DES", 168, { ...smallBlock, hasKeyLength: false }),
    cipher("des", "ENCR_DES", 56, { ...smallBlock, hasKeyLength: false }),
    cipher("null", "ENCR_NULL", 0, { ivBytes: 0, blockBytes: 1, hasKeyLength: false }),
  ];
};

/** IV and ICV: RFC 4106 (GCM), RFC 4309 and RFC 5529 (CCM), RFC 4543 (GMAC), RFC 7634 (ChaCha20-Poly1305). */
const combinedCiphers = (): readonly Aead[] => {
  const combined = (keyword: string, id: string, keyBits: number, facts: Partial<Aead> = {}): Aead => ({
    transform: "aead",
    keyword,
    id,
    keyBits,
    ivBytes: 8,
    blockBytes: 1,
    icvBytes: 16,
    hasKeyLength: true,
    linuxEsp: true,
    ...facts,
  });
  // The ICV is named in bytes, in bits, or not at all.
  const inEverySize = (
    name: string,
    mode: string,
    id: string,
    facts: Partial<Aead>,
    endings: readonly string[],
  ): readonly Aead[] =>
    keySizes.flatMap((bits) =>
      endings.map((ending) => {
        const size = Number(ending || 16);
        const icvBytes = size > 16 ? size / 8 : size;
        return combined(`${name}${bits}${mode}${ending}`, `${id}_ICV${icvBytes}`, bits, {
          icvBytes,
          ...facts,
        });
      }),
    );
  const endings = ["16", "128", "12", "96", "8", "64"];
  return [
    ...inEverySize("aes", "gcm", "ENCR_AES_GCM", {}, ["", ...endings]),
    ...inEverySize("aes", "ccm", "ENCR_AES_CCM", {}, ["", ...endings]),
    combined("chacha20poly1305", "ENCR_CHACHA20_POLY1305", 256, { hasKeyLength: false }),
    // For peers that send the length of the key although it is fixed.
    combined("chacha20poly1305compat", "ENCR_CHACHA20_POLY1305", 256),
    ...inEverySize("camellia", "ccm", "ENCR_CAMELLIA_CCM", { linuxEsp: false }, endings),
    ...keySizes.map((bits) => combined(`aes${bits}gmac`, "ENCR_NULL_AUTH_AES_GMAC", bits)),
  ];
};

/** ICV: RFC 4868 (SHA-2), RFC 2404 (SHA-1), RFC 2403 (MD5), RFC 4595 (untruncated), RFC 3566 (XCBC), RFC 4494 (CMAC). */
const integrity = (): readonly Integrity[] => {
  const hash = (
    keyword: string,
    id: string,
    keyBits: number,
    icvBytes: number,
    prf?: string,
    linuxEsp = true,
  ): Integrity => ({
    transform: "integrity",
    keyword,
    id,
    keyBits,
    icvBytes,
    linuxEsp,
    ...(prf === undefined ? {} : { prf }),
  });
  const sha2 = ([256, 384, 512] as const).flatMap((bits) =>
    [`sha${bits}`, `sha2_${bits}`].map((keyword) =>
      hash(keyword, `AUTH_HMAC_SHA2_${bits}_${bits / 2}`, bits, bits / 16, `prfsha${bits}`),
    ),
  );
  return [
    ...sha2,
    hash("sha256_96", "AUTH_HMAC_SHA2_256_96", 256, 12),
    hash("sha2_256_96", "AUTH_HMAC_SHA2_256_96", 256, 12),
    hash("aesxcbc", "AUTH_AES_XCBC_96", 128, 12, "prfaesxcbc"),
    hash("aescmac", "AUTH_AES_CMAC_96", 128, 12, "prfaescmac"),
    hash("camelliaxcbc", "AUTH_CAMELLIA_XCBC_96", 128, 12, "prfcamelliaxcbc", false),
    hash("sha1", "AUTH_HMAC_SHA1_96", 160, 12, "prfsha1"),
    hash("sha", "AUTH_HMAC_SHA1_96", 160, 12, "prfsha1"),
    hash("sha1_160", "AUTH_HMAC_SHA1_160", 160, 20, "prfsha1"),
    hash("md5", "AUTH_HMAC_MD5_96", 128, 12, "prfmd5"),
    hash("md5_128", "AUTH_HMAC_MD5_128", 128, 16, "prfmd5"),
  ];
};

const pseudoRandomFunctions = (): readonly PseudoRandomFunction[] => {
  const prf = (keyword: string, id: string, keyBits: number): PseudoRandomFunction => ({
    transform: "prf",
    keyword,
    id,
    keyBits,
  });
  return [
    ...[256, 384, 512].map((bits) => prf(`prfsha${bits}`, `PRF_HMAC_SHA2_${bits}`, bits)),
    prf("prfaesxcbc", "PRF_AES128_XCBC", 128),
    prf("prfaescmac", "PRF_AES128_CMAC", 128),
    prf("prfcamelliaxcbc", "PRF_CAMELLIA128_XCBC", 128),
    prf("prfsha1", "PRF_HMAC_SHA1", 160),
    prf("prfmd5", "PRF_HMAC_MD5", 128),
  ];
};

/**
 * Groups: IANA's "Transform Type 4"; RFC 3526 and RFC 2409 (modp), RFC 5114 (modp with subgroup), RFC 5903 (ecp),
 * RFC 6954 (brainpool), RFC 8031 (curves); the others as in strongSwan's key_exchange.h.
 */
const keyExchanges = (): readonly KeyExchange[] => {
  const exchange = (keyword: string, id: string, keyBits: number, group?: number): KeyExchange => ({
    transform: "ke",
    keyword,
    id,
    keyBits,
    ...(group === undefined ? {} : { group }),
  });
  return [
    exchange("ecp256", "ECP_256_BIT", 256, 19),
    exchange("ecp384", "ECP_384_BIT", 384, 20),
    exchange("ecp521", "ECP_521_BIT", 521, 21),
    exchange("x25519", "CURVE_25519", 255, 31),
    exchange("curve25519", "CURVE_25519", 255, 31),
    exchange("x448", "CURVE_448", 448, 32),
    exchange("curve448", "CURVE_448", 448, 32),
    exchange("modp3072", "MODP_3072_BIT", 3072, 15),
    exchange("modp4096", "MODP_4096_BIT", 4096, 16),
    exchange("modp6144", "MODP_6144_BIT", 6144, 17),
    exchange("modp8192", "MODP_8192_BIT", 8192, 18),
    exchange("modp2048", "MODP_2048_BIT", 2048, 14),
    exchange("ecp256bp", "ECP_256_BP", 256, 28),
    exchange("ecp384bp", "ECP_384_BP", 384, 29),
    exchange("ecp512bp", "ECP_512_BP", 512, 30),
    ...[512, 768, 1024].map((set) => ({
      ...exchange(`mlkem${set}`, `ML_KEM_${set}`, set),
      since: "6.0" as const,
    })),
    exchange("modp1536", "MODP_1536_BIT", 1536, 5),
    exchange("modp1024", "MODP_1024_BIT", 1024, 2),
    exchange("modp768", "MODP_768_BIT", 768, 1),
    exchange("modp1024s160", "MODP_1024_160", 1024, 22),
    exchange("modp2048s224", "MODP_2048_224", 2048, 23),
    exchange("modp2048s256", "MODP_2048_256", 2048, 24),
    exchange("ecp192", "ECP_192_BIT", 192, 25),
    exchange("ecp224", "ECP_224_BIT", 224, 26),
    exchange("ecp224bp", "ECP_224_BP", 224, 27),
    exchange("none", "KE_NONE", 0),
    exchange("modpnone", "KE_NONE", 0),
    exchange("modpnull", "MODP_NULL", 0),
    ...[256, 512].map((bits) => ({
      ...exchange(`gost${bits}`, `GOST3410_${bits}`, bits),
      since: "6.0" as const,
    })),
    ...[112, 128, 192, 256].map((bits) => ({
      ...exchange(`ntru${bits}`, `NTRU_${bits}_BIT`, bits),
      removedIn: "6.0" as const,
    })),
    { ...exchange("newhope128", "NH_128_BIT", 128), removedIn: "6.0" },
  ];
};

const sequenceNumbers: readonly SequenceNumbers[] = [
  { transform: "esn", keyword: "noesn", id: "NO_EXT_SEQ_NUMBERS", keyBits: 0 },
  { transform: "esn", keyword: "esn", id: "EXT_SEQ_NUMBERS", keyBits: 0 },
];

/** By keyword, the preferable first in each family; additional key exchanges, which a prefix forms, are not in it. */
export const algorithms: ReadonlyMap<string, Algorithm> = new Map(
  [
    ...ciphers(),
    ...combinedCiphers(),
    ...integrity(),
    ...pseudoRandomFunctions(),
    ...keyExchanges(),
    ...sequenceNumbers,
  ].map((algorithm) => [algorithm.keyword, algorithm]),
);
