import type { Problem } from "../failure.ts";
import type { Aead, Algorithm, Encryption, Integrity, PseudoRandomFunction } from "./algorithms.ts";
import { findAlgorithm } from "./proposal-keyword.ts";

export type Protocol = "ike" | "esp";

/** Good proposals of either kind, for hints. */
export const examples = {
  ike: "aes256gcm16-prfsha384-ecp384 or aes256-sha256-modp3072",
  esp: "aes256gcm16-ecp384 or aes256-sha256-modp3072",
} as const satisfies Record<Protocol, string>;

/** What a proposal really offers; messages continue "the proposal …". */
type Checked = {
  readonly algorithms: readonly Algorithm[];
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
};

/**
 * Holds the algorithms of one proposal against strongSwan's rules (check_proposal in proposal.c), leaves out what it
 * would drop, and refuses what it would take but RFC 4303, RFC 7296 or RFC 8221 §4 forbid.
 */
export const checkProposal = (named: readonly Algorithm[], protocol: Protocol): Checked => {
  const { kept, warnings: repetitions } = withoutRepetitions(named);
  const checked = protocol === "ike" ? checkIke(kept) : checkEsp(kept);
  return {
    algorithms: checked.algorithms,
    problems: [...checkCiphers(kept, protocol), ...checked.problems],
    warnings: [...repetitions, ...checked.warnings],
  };
};

/**
 * The PRFs of an IKE proposal: those it names, or else those of the same hash as its integrity algorithms
 * (integ_prf_map in proposal.c, which leaves the 96-bit truncation of SHA-256 out).
 */
export const pseudoRandomFunctions = (algorithms: readonly Algorithm[]): readonly PseudoRandomFunction[] => {
  const named = algorithms.filter((algorithm) => algorithm.transform === "prf");
  if (named.length > 0) return named;
  // Two truncations of one hash imply one function.
  return [
    ...new Map(
      algorithms
        .filter(isIntegrity)
        .flatMap(impliedPrf)
        .map((prf) => [prf.id, prf]),
    ).values(),
  ];
};

export const isCipher = (algorithm: Algorithm): algorithm is Encryption | Aead =>
  algorithm.transform === "encryption" || algorithm.transform === "aead";

export const isIntegrity = (algorithm: Algorithm): algorithm is Integrity =>
  algorithm.transform === "integrity";

/** What goes over the wire, as text: algorithms of the same key are one (RFC 7296 §3.3.2, the key length §3.3.5). */
export const transformKey = (algorithm: Algorithm): string => {
  const keyLength = isCipher(algorithm) && algorithm.hasKeyLength ? algorithm.keyBits : "";
  return `${algorithm.transform} ${algorithm.id} ${keyLength}`;
};

const withoutRepetitions = (named: readonly Algorithm[]) => {
  const kept = new Map<string, Algorithm>();
  const warnings: Problem[] = [];
  for (const algorithm of named) {
    const { keyword } = algorithm;
    const earlier = kept.get(transformKey(algorithm));
    if (earlier === undefined) {
      kept.set(transformKey(algorithm), algorithm);
      continue;
    }
    const message =
      earlier.keyword === keyword
        ? `names ${keyword} twice`
        : `names ${earlier.keyword} and ${keyword}, which are the same`;
    warnings.push({ message, hint: `leave the second ${keyword} out` });
  }
  return { kept: [...kept.values()], warnings };
};

const checkCiphers = (algorithms: readonly Algorithm[], protocol: Protocol): readonly Problem[] => {
  const ciphers = algorithms.filter(isCipher);
  if (ciphers.length === 0) {
    return [{ message: "names no encryption algorithm", hint: `for example ${examples[protocol]}` }];
  }
  const [classic, combined] = [
    ciphers.filter(({ transform }) => transform === "encryption"),
    ciphers.filter(isAead),
  ];
  if (classic.length > 0 && combined.length > 0) {
    const message = `mixes combined-mode ciphers (${list(combined)}) with others (${list(classic)})`;
    return [
      {
        message,
        hint: `make two proposals of it, joined by a comma, for example ${examples[protocol].replace(" or ", ",")}`,
      },
    ];
  }
  if (classic.length > 0 && !algorithms.some(isIntegrity)) {
    const message = `names no integrity algorithm, which ${list(classic)} must not go without (${
      protocol === "ike" ? "RFC 7296 §3.3.3" : "RFC 8221 §4"
    })`;
    return [{ message, hint: `add one, for example ${classic[0]?.keyword}-sha256` }];
  }
  return [];
};

const checkIke = (algorithms: readonly Algorithm[]): Checked => {
  const problems: Problem[] = [];
  const warnings: Problem[] = [];
  const forEspOnly = algorithms.filter(({ transform, id }) => transform === "esn" || notForIke.includes(id));
  if (forEspOnly.length > 0) {
    problems.push({
      message: `names ${list(forEspOnly)}, for ESP only`,
      hint: `for example ${examples.ike}`,
    });
  }
  const ineffective = algorithms.filter(({ transform, id }) => transform === "ke" && id === "KE_NONE");
  if (ineffective.length > 0) {
    const message = `names ${list(ineffective)}, which has no effect in IKE: a key exchange is mandatory there`;
    warnings.push({ message, hint: "leave it out" });
  }
  if (!algorithms.some(({ transform, id }) => transform === "ke" && id !== "KE_NONE")) {
    problems.push({ message: "names no key exchange method", hint: `add one, for example ${examples.ike}` });
  }
  const prfs = pseudoRandomFunctions(algorithms);
  if (prfs.length === 0 && algorithms.some((algorithm) => isAead(algorithm) || isIntegrity(algorithm))) {
    const hashes = algorithms.filter(isIntegrity);
    const message = `names no PRF, and ${hashes.length > 0 ? list(hashes) : "a combined-mode cipher"} implies none`;
    problems.push({ message, hint: `add one, for example prfsha256, as in ${examples.ike.split(" ")[0]}` });
  }
  const effective = algorithms.filter((algorithm) => !ineffective.includes(algorithm));
  const { kept, dropped } = withoutNeedlessIntegrity(effective);
  if (dropped.length === 0 || prfs.length === 0) return { algorithms: kept, problems, warnings };
  if (kept.some(({ transform }) => transform === "prf")) {
    return { algorithms: kept, problems, warnings: [...warnings, needlessIntegrity(dropped)] };
  }
  const meaning = `${list(dropped)} beside a combined-mode cipher, read as ${list(prfs)}`;
  warnings.push({ message: `names ${meaning}`, hint: `write ${list(prfs)}` });
  return { algorithms: [...kept, ...prfs], problems, warnings };
};

/** Authentication without encryption: ESP may do so (RFC 4303 §3.2), IKE counts on both (RFC 7296 §3.14). */
const notForIke: readonly string[] = ["ENCR_NULL", "ENCR_NULL_AUTH_AES_GMAC"];

const checkEsp = (algorithms: readonly Algorithm[]): Checked => {
  const warnings: Problem[] = [];
  const prfs = algorithms.filter(({ transform }) => transform === "prf");
  if (prfs.length > 0) {
    warnings.push({ message: `names ${list(prfs)}, which has no effect in ESP`, hint: "leave it out" });
  }
  const { kept, dropped } = withoutNeedlessIntegrity(
    algorithms.filter((algorithm) => !prfs.includes(algorithm)),
  );
  if (dropped.length > 0) warnings.push(needlessIntegrity(dropped));
  return { algorithms: kept, problems: [], warnings };
};

const withoutNeedlessIntegrity = (algorithms: readonly Algorithm[]) => {
  const ciphers = algorithms.filter(isCipher);
  const needless = ciphers.length > 0 && ciphers.every(isAead);
  return {
    kept: needless ? algorithms.filter((algorithm) => !isIntegrity(algorithm)) : algorithms,
    dropped: needless ? algorithms.filter(isIntegrity) : [],
  };
};

const needlessIntegrity = (dropped: readonly Algorithm[]): Problem => ({
  message: `names ${list(dropped)}, which has no effect beside a combined-mode cipher`,
  hint: "leave it out",
});

const impliedPrf = ({ prf }: Integrity): readonly PseudoRandomFunction[] => {
  const implied = prf === undefined ? undefined : findAlgorithm(prf);
  return implied?.transform === "prf" ? [implied] : [];
};

const isAead = (algorithm: Algorithm): algorithm is Aead => algorithm.transform === "aead";

const list = (algorithms: readonly Algorithm[]): string =>
  algorithms.map(({ keyword }) => keyword).join(", ");
