import { type Problem, quoted } from "../failure.ts";
import type { Algorithm } from "./algorithms.ts";
import { findAlgorithm, suggestKeyword } from "./proposal-keyword.ts";
import { checkProposal, examples, type Protocol, transformKey } from "./proposal-rules.ts";
import { weakAlgorithms } from "./proposal-weakness.ts";

/** One proposal of RFC 7296 §3.3.1: what it offers of each type, the preferred first. */
export type Proposal = { readonly protocol: Protocol; readonly algorithms: readonly Algorithm[] };

/** Either every problem or the proposals; warnings in both cases. No message names the variable. */
export type ParsedProposals =
  | { readonly ok: true; readonly value: readonly Proposal[]; readonly warnings: readonly Problem[] }
  | { readonly ok: false; readonly problems: readonly Problem[]; readonly warnings: readonly Problem[] };

/**
 * Reads a list of proposals, in any case and with white space anywhere between its words: keywords joined by `-`,
 * proposals by `,`, as in `ike` of ipsec.conf(5) and `proposals` of swanctl.conf(5).
 */
export const parseProposals = (text: string, protocol: Protocol): ParsedProposals => {
  if (text.length > maximumLength) return tooLong(`${text.length} characters`, maximumLength, protocol);
  const listed = text.trim();
  const isStrict = listed.endsWith("!");
  const parts = (isStrict ? listed.slice(0, -1) : listed).split(",").map((part) => part.trim());
  if (parts.length > maximumProposals)
    return tooLong(`${parts.length} proposals`, maximumProposals, protocol);

  const parsed = parts.map((part, index) => {
    const subject = parts.length > 1 ? `proposal ${index + 1}, ${quoted(part)},` : quoted(part);
    return parseProposal(part, subject, protocol);
  });
  const value = parsed.map((part) => ({ protocol, algorithms: part.algorithms }));
  const problems = parsed.flatMap((part) => part.problems);
  const warnings = [...(isStrict ? [needlessMark] : []), ...parsed.flatMap((part) => part.warnings)];
  if (problems.length > 0) return { ok: false, problems: worded(problems), warnings: worded(warnings) };
  const ofAll = [
    ...repeatedProposals(value),
    ...weakAlgorithms(value.flatMap(({ algorithms }) => algorithms)),
  ];
  return { ok: true, value, warnings: worded([...warnings, ...ofAll]) };
};

/** The list in strongSwan's spelling: lower case, no white space, without the `!` of ipsec.conf(5). */
export const renderProposals = (proposals: readonly Proposal[]): string =>
  proposals.map(renderProposal).join(",");

const renderProposal = ({ algorithms }: Pick<Proposal, "algorithms">): string =>
  algorithms.map(({ keyword }) => keyword).join("-");

/** Room for every sensible list; bounds the time that a hostile one takes. */
const maximumLength = 4096;
/** The number of a proposal is one byte (RFC 7296 §3.3.1). */
const maximumProposals = 255;
/** What fits with its end mark into strongSwan's buffer for one proposal (BUF_LEN, parse_proposal in vici_config.c). */
const maximumProposalLength = 511;
const maximumProblems = 20;

const tooLong = (size: string, maximum: number, protocol: Protocol): ParsedProposals => ({
  ok: false,
  problems: [
    { message: `a list of ${size} is too long`, hint: `at most ${maximum}; ${exampleOf(protocol)}` },
  ],
  warnings: [],
});

const exampleOf = (protocol: Protocol): string => `for example ${examples[protocol]}`;

/** A problem, or how to word it where that takes time and only what is shown should take it. */
type Finding = Problem | (() => Problem);

const worded = (findings: readonly Finding[]): readonly Problem[] => {
  const problems = findings
    .slice(0, maximumProblems)
    .map((finding) => (typeof finding === "function" ? finding() : finding));
  const others = findings.length - problems.length;
  return others > 0 ? [...problems, { message: `and ${others} more like these` }] : problems;
};

const needlessMark: Problem = {
  message: "the ! at the end has no effect: a list is always strict, nothing is added to it",
  hint: "leave the ! out",
};

type Part = {
  readonly algorithms: readonly Algorithm[];
  readonly problems: readonly Finding[];
  readonly warnings: readonly Problem[];
};

const parseProposal = (text: string, subject: string, protocol: Protocol): Part => {
  const about = ({ message, ...rest }: Problem): Problem => ({ message: `${subject} ${message}`, ...rest });
  const words = text.split("-").map((word) => word.trim().toLowerCase());
  const unreadable = [...new Set(words)].filter((word) => findAlgorithm(word) === undefined);
  if (unreadable.length > 0) {
    const problems = unreadable.map((word) => () => about(unreadableWord(word, words, protocol)));
    return { algorithms: [], problems, warnings: [] };
  }
  const named = words.map(findAlgorithm).filter((algorithm) => algorithm !== undefined);
  const { algorithms, problems, warnings } = checkProposal(named, protocol);
  const { length } = renderProposal({ algorithms });
  const oversize = {
    message: `has ${length} characters, too many`,
    hint: `at most ${maximumProposalLength}: make two proposals of it`,
  };
  return {
    algorithms,
    problems: [...problems, ...(length > maximumProposalLength ? [oversize] : [])].map(about),
    warnings: warnings.map(about),
  };
};

const unreadableWord = (word: string, words: readonly string[], protocol: Protocol): Problem => {
  const example = exampleOf(protocol);
  if (word === "") {
    const message = words.length === 1 ? "names nothing" : "has nothing before, after or between its -";
    return { message, hint: example };
  }
  if (word === "default") {
    const message =
      "asks for strongSwan's default, which differs between versions and includes weak algorithms";
    return { message, hint: `list what both ends support, ${example}` };
  }
  const message = `has the unknown keyword ${quoted(word)}`;
  if (word.includes("!")) return { message, hint: `leave the ! out, ${example}` };
  const meant = suggestKeyword(word, words[words.indexOf(word) - 1]);
  return { message, hint: meant === undefined ? example : `did you mean ${meant}? ${example}` };
};

const repeatedProposals = (proposals: readonly Proposal[]): readonly Problem[] => {
  const positions = new Map<string, number>();
  return proposals.flatMap(({ algorithms }, index) => {
    // The order within a type is a preference; that of the types among each other means nothing.
    const byType = algorithms.toSorted((one, other) =>
      one.transform < other.transform ? -1 : Number(one.transform > other.transform),
    );
    const offer = byType.map(transformKey).join();
    const earlier = positions.get(offer);
    if (earlier === undefined) {
      positions.set(offer, index + 1);
      return [];
    }
    return [{ message: `proposal ${index + 1} repeats proposal ${earlier}`, hint: "leave it out" }];
  });
};
