import { parseNetwork } from "../ipsec/network.ts";
import {
  type Answer,
  isInterface,
  isPort,
  isProtocol,
  isWithin,
  not,
  type Packet,
  rangeOf,
  some,
  sure,
} from "./packet.ts";
import {
  type Chain,
  type Hook,
  type Rule,
  type Ruleset,
  type Verdict,
  verdictOfExtension,
} from "./ruleset.ts";

/** Reads what iptables-save(8) prints. A part of a rule that is not known here makes it one that may match. */
export const parseIptables = (text: string, program: Exclude<Chain["program"], "nft">): Ruleset => {
  const chains = new Map<string, Omit<Chain, "rules"> & { readonly rules: Rule[] }>();
  const family = program.startsWith("ip6") ? ("ip6" as const) : ("ip" as const);
  let table = "";
  for (const line of text.split("\n")) {
    if (line.startsWith("*")) table = line.slice(1).trim();
    const [, name, policy] = /^:(\S+) (\S+)/.exec(line) ?? [];
    if (name !== undefined)
      chains.set(`${table} ${name}`, {
        program,
        family,
        table,
        name,
        ...baseOf(name, table, policy),
        rules: [],
      });
    const [, chain, words] = /^-A (\S+) ?(.*)$/.exec(line) ?? [];
    if (words !== undefined) chains.get(`${table} ${chain}`)?.rules.push(parseRule(line, wordsOf(words)));
  }
  return [...chains.values()];
};

const baseOf = (name: string, table: string, policy: string | undefined): Pick<Chain, "base"> => {
  const hook = hooks.get(name);
  if (hook === undefined) return {};
  return {
    base: {
      hook,
      type: table === "nat" ? "nat" : "filter",
      priority: table === "nat" ? sourceTranslation : 0,
      policy: policy === "DROP" ? "drop" : "accept",
    },
  };
};

/** NF_IP_PRI_NAT_SRC; only the order of chains that translate sources matters. */
const sourceTranslation = 100;

const hooks: ReadonlyMap<string, Hook> = new Map(
  (["prerouting", "input", "forward", "output", "postrouting"] as const).map((hook) => [
    hook.toUpperCase(),
    hook,
  ]),
);

const wordsOf = (text: string): readonly string[] =>
  [...text.matchAll(/"((?:[^"\\]|\\.)*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? "");

const parseRule = (line: string, words: readonly string[]): Rule => {
  const matches: Rule["matches"][number][] = [];
  let verdict: Verdict = { kind: "next" };
  let isNegated = false;
  for (let index = 0; index < words.length; index += 1) {
    const option = words[index] as string;
    const value = words[index + 1] ?? "";
    if (option === "!") {
      isNegated = true;
      continue;
    }
    if (option === "-j" || option === "-g") {
      verdict = verdictOf(option, value);
      // What follows are options of the target.
      break;
    }
    if (option === "--comment") {
      index += 1;
      continue;
    }
    const matcher = matcherOf(option, value, words);
    if (matcher !== undefined) matches.push(isNegated ? (packet) => not(matcher(packet)) : matcher);
    isNegated = false;
    // The next option, negated or not, after what belongs to this one.
    while (index + 1 < words.length && !/^(?:-|!$)/.test(words[index + 1] as string)) index += 1;
  }
  return { text: line, matches, verdict };
};

const verdictOf = (option: "-j" | "-g", target: string): Verdict => {
  switch (target) {
    case "ACCEPT":
      return { kind: "accept" };
    case "DROP":
      return { kind: "drop" };
    case "RETURN":
      return { kind: "return" };
    default:
      // What is no chain, such as LOG, lets packets go on.
      return verdictOfExtension(target) ?? { kind: option === "-g" ? "goto" : "jump", target };
  }
};

/** Undefined for what decides nothing by itself. */
const matcherOf = (
  option: string,
  value: string,
  words: readonly string[],
): ((packet: Packet) => Answer) | undefined => {
  switch (option) {
    case "-s":
      return (packet) => inNetwork(packet, "source", value);
    case "-d":
      return (packet) => inNetwork(packet, "destination", value);
    case "-p":
      return (packet) => (value === "all" ? "yes" : isProtocol(packet, value));
    case "-i":
      return ({ input }) => isInterface(input, value);
    case "-o":
      return ({ output }) => isInterface(output, value);
    case "--sport":
    case "--sports":
      return (packet) => inPorts(packet, "source", value);
    case "--dport":
    case "--dports":
      return (packet) => inPorts(packet, "destination", value);
    case "--ports":
      return (packet) => some([inPorts(packet, "source", value), inPorts(packet, "destination", value)]);
    case "--ctstate":
    case "--state":
      return ({ state }) => sure(value.split(",").includes(state.toUpperCase()));
    case "--pol":
      return ({ toIpsec }) =>
        toIpsec === undefined || words[words.indexOf("--dir") + 1] !== "out"
          ? "maybe"
          : sure(toIpsec === (value === "ipsec"));
    case "--dir":
      return undefined;
    case "-m":
      return knownModules.has(value) ? undefined : () => "maybe";
    default:
      return () => "maybe";
  }
};

const knownModules: ReadonlySet<string> = new Set([
  "udp",
  "tcp",
  "multiport",
  "conntrack",
  "state",
  "policy",
  "comment",
]);

const inNetwork = (packet: Packet, side: "source" | "destination", text: string): Answer => {
  const network = parseNetwork(text);
  return network.ok ? isWithin(packet[side], rangeOf(network.value.network)) : "maybe";
};

/** `500`, `1:1024`, or a list of those. */
const inPorts = (packet: Packet, side: "source" | "destination", list: string): Answer =>
  some(
    list.split(",").map((item) => {
      const [first = "", last = first] = item.split(":");
      return isPort(packet, side, Number(first || 0), Number(last || 65535));
    }),
  );
