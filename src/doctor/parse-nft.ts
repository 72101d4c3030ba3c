import { asList, compareNft, fieldOf, named, type ValuesOf } from "./compare-nft.ts";
import type { Answer, Packet } from "./packet.ts";
import {
  type Chain,
  type Hook,
  type Rule,
  type Ruleset,
  type Verdict,
  verdictOfExtension,
} from "./ruleset.ts";

/**
 * Reads what `nft -j list ruleset` prints (libnftables-json(5)), and the rules' words from `nft -a list ruleset`.
 * A part of a rule that is not known here makes it one that may match.
 */
export const parseNft = (json: string, text: string): Ruleset => {
  const { nftables } = JSON.parse(json) as { readonly nftables: readonly NftObject[] };
  const words = ruleTexts(text);
  const elements: Elements = new Map(
    nftables.flatMap(({ set, map }) => {
      const one = set ?? map;
      return one === undefined ? [] : [[placeOf(one, one.name), one.elem ?? []] as const];
    }),
  );
  // Of a cluster's node there may be thousands.
  const rulesByPlace = Map.groupBy(
    nftables.flatMap(({ rule }) => rule ?? []),
    (rule) => placeOf(rule, rule.chain),
  );
  return nftables.flatMap(({ chain }) => {
    if (chain === undefined) return [];
    const place = placeOf(chain, chain.name);
    const rules = (rulesByPlace.get(place) ?? []).flatMap((rule) =>
      parseRule(rule, words.get(`${place} ${rule.handle}`), elements),
    );
    const { family, table, name } = chain;
    return [{ program: "nft" as const, family, table, name, ...baseOf(chain, text), rules }];
  });
};

const baseOf = (
  { hook, type = "filter", prio: priority = 0, policy = "accept", dev }: NftChain,
  text: string,
): Pick<Chain, "base"> => {
  if (hook === undefined) return {};
  if (hook !== "ingress" && hook !== "egress") return { base: { hook, type, priority, policy } };
  // nft 1.0.6 leaves the devices out of its JSON: then any that is named anywhere may be one.
  const devices = [...text.matchAll(/hook (?:in|e)gress devices? (?:= )?(.+?) priority/g)].flatMap(
    ([, list = ""]) => [...list.matchAll(/"?([^"\s,{}]+)"?/g)].map(([, name = ""]) => name),
  );
  return { base: { hook, type, priority, policy, devices: dev === undefined ? devices : [dev].flat() } };
};

type NftChain = Place & {
  readonly name: string;
  readonly hook?: Hook;
  readonly type?: string;
  readonly prio?: number;
  readonly policy?: "accept" | "drop";
  readonly dev?: string | readonly string[];
};

type NftObject = {
  readonly chain?: NftChain;
  readonly rule?: Place & {
    readonly chain: string;
    readonly handle: number;
    readonly expr: readonly unknown[];
  };
  readonly set?: Place & { readonly name: string; readonly elem?: readonly unknown[] };
  readonly map?: Place & { readonly name: string; readonly elem?: readonly unknown[] };
};

type Place = { readonly family: Chain["family"]; readonly table: string };

/** Of sets and maps, by their place and name. */
type Elements = ReadonlyMap<string, readonly unknown[]>;

const placeOf = ({ family, table }: Place, name: string): string => `${family} ${table} ${name}`;

/** By place and handle. */
const ruleTexts = (text: string): ReadonlyMap<string, string> => {
  const texts = new Map<string, string>();
  let table = "";
  let chain = "";
  for (const line of text.split("\n")) {
    table = /^table (\S+ \S+)/.exec(line)?.[1] ?? table;
    chain = /^\tchain (\S+)/.exec(line)?.[1] ?? chain;
    const [, rule, handle] = /^\t\t(.+) # handle (\d+)$/.exec(line) ?? [];
    if (rule !== undefined) texts.set(`${table} ${chain} ${handle}`, rule);
  }
  return texts;
};

/** A verdict map becomes a rule for each of its elements. */
const parseRule = (
  rule: NonNullable<NftObject["rule"]>,
  words: string | undefined,
  elements: Elements,
): readonly Rule[] => {
  const text = words ?? JSON.stringify(rule.expr);
  const valuesOf: ValuesOf = (name) => elements.get(placeOf(rule, name.replace(/^@/, "")));
  const matches: ((packet: Packet) => Answer)[] = [];
  const opaque = rule.expr.some((statement) => named(statement)[0] === "xt")
    ? { isOpaque: true as const }
    : {};
  for (const statement of rule.expr) {
    const [name, content] = named(statement);
    if (harmless.has(name)) continue;
    if (name === "match") {
      const [op, left, right] = [
        String(fieldOf(content, "op")),
        fieldOf(content, "left"),
        fieldOf(content, "right"),
      ];
      matches.push((packet) => compareNft(op, left, right, packet, valuesOf));
      continue;
    }
    if (name === "vmap") {
      const key = fieldOf(content, "key");
      return asList(fieldOf(content, "data"), valuesOf).map((element) => {
        // A map that is not listed may drop anything.
        const [value, verdict] = Array.isArray(element) ? element : [element, { drop: null }];
        const matchesKey = (packet: Packet): Answer => compareNft("==", key, value, packet, valuesOf);
        return { text, matches: [...matches, matchesKey], verdict: parseVerdict(verdict) ?? next };
      });
    }
    const verdict = parseVerdict(statement);
    if (verdict !== undefined) return [{ text, matches, verdict, ...opaque }];
    // `limit`, `xt` and what else decides by something that is not known here.
    matches.push(() => "maybe");
  }
  return [{ text, matches, verdict: next, ...opaque }];
};

const next: Verdict = { kind: "next" };

const harmless: ReadonlySet<string> = new Set(["counter", "log", "mangle", "notrack", "set", "comment"]);

const parseVerdict = (statement: unknown): Verdict | undefined => {
  const [name, content] = named(statement);
  switch (name) {
    case "accept":
    case "drop":
    case "return":
      return { kind: name };
    case "reject":
      return { kind: "drop" };
    case "masquerade":
      return { kind: "translate" };
    case "snat":
      return { kind: isOwnSource(fieldOf(content, "addr")) ? "keep" : "translate" };
    case "jump":
    case "goto":
      return { kind: name, target: String(fieldOf(content, "target")) };
    case "xt":
      return verdictOfTarget(content);
    default:
      return undefined;
  }
};

const isOwnSource = (address: unknown): boolean => fieldOf(fieldOf(address, "payload"), "field") === "saddr";

/** Targets of iptables that nft cannot put in its own words. */
const verdictOfTarget = (extension: unknown): Verdict | undefined =>
  fieldOf(extension, "type") === "target"
    ? (verdictOfExtension(fieldOf(extension, "name")) ?? next)
    : undefined;
