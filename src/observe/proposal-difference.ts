/**
 * Whether two lists of ESP proposals, as charon prints them (`ESP:AES_CBC_256/HMAC_SHA2_256_128/MODP_2048/NO_EXT_SEQ, …`),
 * would agree but for the key exchange group: then perfect forward secrecy is what the two ends see differently.
 */
export const differsInKeyExchangeOnly = (received: string, configured: string): boolean => {
  const offers = parseProposals(received);
  return parseProposals(configured).some((wanted) =>
    offers.some((offer) => agree(offer, wanted, others) && !agree(offer, wanted, ["keyExchange"])),
  );
};

type TransformType = "encryption" | "integrity" | "keyExchange" | "sequenceNumbers";
type Transforms = Readonly<Record<TransformType, readonly string[]>>;

const others: readonly TransformType[] = ["encryption", "integrity", "sequenceNumbers"];

const parseProposals = (text: string): readonly Transforms[] =>
  text.split(", ").map((proposal) => {
    const transforms = proposal.slice(proposal.indexOf(":") + 1).split("/");
    const ofType = (type: TransformType) => transforms.filter((name) => typeOf(name) === type);
    return {
      encryption: ofType("encryption"),
      integrity: ofType("integrity"),
      keyExchange: ofType("keyExchange"),
      sequenceNumbers: ofType("sequenceNumbers"),
    };
  });

// Names: `encryption_algorithm_names`, `integrity_algorithm_names` and `key_exchange_method_names` in strongSwan's
// `src/libstrongswan/crypto`; 6.0 puts `KE1_` and so on before additional key exchanges.
const typeOf = (name: string): TransformType => {
  if (/^(?:MODP|ECP|CURVE|NTRU|NEWHOPE|GOST3410|ML_KEM|KE\d?_)/.test(name)) return "keyExchange";
  if (/^(?:HMAC_|AES_XCBC_96$|AES_CMAC_96$|AES_\d+_GMAC$|CAMELLIA_XCBC_96$|DES_MAC$|KPDK_MD5$)/.test(name))
    return "integrity";
  if (name.endsWith("EXT_SEQ")) return "sequenceNumbers";
  return "encryption";
};

const agree = (one: Transforms, other: Transforms, types: readonly TransformType[]): boolean =>
  types.every((type) =>
    one[type].length === 0 && other[type].length === 0
      ? true
      : one[type].some((name) => other[type].includes(name)),
  );
