import { readFileSync } from "node:fs";
import type { RunProgram } from "../host/run-program.ts";
import type { Argv } from "../host/step.ts";
import { parseIptables } from "./parse-iptables.ts";
import { parseNft } from "./parse-nft.ts";
import { type Chain, isLegacy, type Rule, type Ruleset } from "./ruleset.ts";

export type ReadRuleset = {
  /** Absent when nothing could list it. */
  readonly ruleset?: Ruleset;
  /** What the programs printed, by their command. */
  readonly listings: Readonly<Record<string, string>>;
};

/** Asks every program that is installed for the rules of this network namespace. */
export const readRuleset = async (runProgram: RunProgram): Promise<ReadRuleset> => {
  const [json, text, ...saved] = await Promise.all([
    list(["nft", "-j", "list", "ruleset"], runProgram),
    list(["nft", "-a", "list", "ruleset"], runProgram),
    ...iptables.map(async ({ program, command, tables }) => {
      // Asking would load modules where it has no tables.
      const isUsed = tables === undefined || readIfPresent(tables).trim() !== "";
      const own = isUsed ? await list([command], runProgram) : undefined;
      return own === undefined ? [] : [{ command, text: own, chains: parseIptables(own, program) }];
    }),
  ]);
  const listed = saved.flat();
  const chains = listed.flatMap((one) => one.chains);
  const modern = chains.filter((chain) => !isLegacy(chain));
  const ofNftables = json === undefined ? modern : explained(parseNft(json, text ?? ""), modern);
  return {
    ...(json === undefined && listed.length === 0
      ? {}
      : { ruleset: [...ofNftables, ...chains.filter(isLegacy)] }),
    listings: {
      ...(text === undefined ? {} : { "nft -a list ruleset": text }),
      ...Object.fromEntries(listed.map(({ command, text: own }) => [command, own])),
    },
  };
};

/**
 * Both list the same rules: nft cannot read the extensions of iptables, and iptables misreads what only nft has, such
 * as sets. So its word is taken for what is opaque to nft, rule by rule.
 */
const explained = (ofNft: Ruleset, ofIptables: Ruleset): Ruleset => {
  const twins = new Map(ofIptables.map((chain) => [placeOf(chain), chain]));
  return ofNft.map((chain) => {
    const twin = twins.get(placeOf(chain));
    if (twin === undefined || twin.rules.length !== chain.rules.length) return chain;
    const rules = chain.rules.map((rule, index) => explanation(rule, twin.rules[index]));
    return { ...chain, program: twin.program, rules };
  });
};

const placeOf = ({ family, table, name }: Chain): string => `${family} ${table} ${name}`;

const explanation = (rule: Rule, twin: Rule | undefined): Rule =>
  rule.isOpaque && twin !== undefined ? twin : rule;

const iptables = [
  { program: "iptables-nft", command: "iptables-nft-save", tables: undefined },
  { program: "ip6tables-nft", command: "ip6tables-nft-save", tables: undefined },
  { program: "iptables-legacy", command: "iptables-legacy-save", tables: "/proc/net/ip_tables_names" },
  { program: "ip6tables-legacy", command: "ip6tables-legacy-save", tables: "/proc/net/ip6_tables_names" },
] as const;

/** Undefined when there is no such program, or it may not look. */
const list = async (argv: Argv, runProgram: RunProgram): Promise<string | undefined> => {
  const { exitCode, stdout } = await runProgram(argv);
  return exitCode === 0 && stdout !== "" ? stdout : undefined;
};

const readIfPresent = (path: string): string => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
};
