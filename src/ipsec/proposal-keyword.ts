import { nearest } from "../nearest.ts";
import { type Algorithm, algorithms } from "./algorithms.ts";
import { weaknessOf } from "./proposal-weakness.ts";

/**
 * The algorithm of a lower-case keyword; undefined when there is none. `ke1_` to `ke7_` before a key exchange make
 * it an additional one (RFC 9370; strongSwan 6.0, additional_key_exchange_parser in key_exchange.c).
 */
export const findAlgorithm = (word: string): Algorithm | undefined => {
  const [, round, base] = /^ke([1-7])_(.+)$/.exec(word) ?? [];
  if (base === undefined) return algorithms.get(word);
  const algorithm = algorithms.get(base);
  // What 6.0 removed never had the prefix, which 6.0 brought.
  if (algorithm?.transform !== "ke" || algorithm.removedIn !== undefined) return undefined;
  return { ...algorithm, keyword: word, transform: `ke${Number(round)}`, since: "6.0" };
};

/** The keyword that an unknown lower-case word probably stands for; `previous` is the word before it. */
export const suggestKeyword = (word: string, previous: string | undefined): string | undefined => {
  const [, prefix = "", base = word] = /^(ke[1-7]_)(.*)$/.exec(word) ?? [];
  if (prefix !== "") {
    const meant = suggestBare(base, keyExchanges);
    return meant && `${prefix}${meant}`;
  }
  return suggestJoined(word, previous) ?? suggestBare(word, everyKeyword);
};

/** `aes-256` and `aes256-gcm16`, as other products write what is one word here. */
const suggestJoined = (word: string, previous: string | undefined): string | undefined =>
  [`${previous}${word}`, `${previous}_${word}`].find((joined) => algorithms.has(joined));

const suggestBare = (word: string, candidates: readonly string[]): string | undefined => {
  const group = /^(?:dh|group|dhgroup|modp|ecp)_?(\d{1,2})$/.exec(word)?.[1];
  if (group !== undefined) return keywordOfGroup(Number(group));
  const plain = word.replaceAll(/cbc|hmac|_/g, "");
  const meant = familiarNames.get(word) ?? (algorithms.has(plain) ? plain : undefined);
  return meant !== undefined && candidates.includes(meant) ? meant : nearest(word, candidates);
};

/** Names in use elsewhere that are too far from the keyword to be found by their letters. */
const familiarNames: ReadonlyMap<string, string> = new Map([
  ["sha2", "sha256"],
  ["chacha20", "chacha20poly1305"],
]);

const keywordOfGroup = (group: number): string | undefined =>
  [...algorithms.values()].find((algorithm) => "group" in algorithm && algorithm.group === group)?.keyword;

/** The good ones first: of two that are equally near, the first is suggested. */
const everyKeyword = [...algorithms.values()]
  .toSorted((one, other) => Number(weaknessOf(one) !== undefined) - Number(weaknessOf(other) !== undefined))
  .map((algorithm) => algorithm.keyword);

const keyExchanges = everyKeyword.filter((keyword) => algorithms.get(keyword)?.transform === "ke");
