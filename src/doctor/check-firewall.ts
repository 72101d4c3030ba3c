import type { AddressFamily } from "../ipsec/address.ts";
import type { Network } from "../ipsec/network.ts";
import { type CheckName, type CheckResult, result } from "./check-result.ts";
import type { Packet } from "./packet.ts";
import { type Chain, type Fate, fateOf, type Obstacle, type Ruleset } from "./ruleset.ts";

/** The two ends as far as their addresses are known. */
export type Ends = {
  readonly family: AddressFamily;
  readonly local?: Network | undefined;
  readonly remote?: Network | undefined;
  /** The interface by which the kernel reaches the peer. */
  readonly device?: string | undefined;
  /** Whether ESP goes without UDP around it. */
  readonly plainEsp: boolean;
  /** Whether only the peer begins. */
  readonly onlyAnswers: boolean;
};

/** Judges whether the rules of this host let IKE and ESP pass between the ends. */
export const checkFirewall = (
  ruleset: Ruleset | undefined,
  ends: readonly Ends[],
): readonly CheckResult[] => {
  if (ruleset === undefined) return [unlisted("firewall")];
  const findings = ends.flatMap((end) => [...outgoing(ruleset, end), ...incoming(ruleset, end)]);
  const distinct = new Map(findings.map((one) => [one.message, one]));
  if (distinct.size > 0) return [...distinct.values()];
  return [result("firewall", "ok", "no rule of this host stops UDP 500, UDP 4500 or ESP")];
};

/** Without a program that lists rules nothing is known of them. */
export const unlisted = (name: CheckName): CheckResult =>
  result(name, "skipped", "the firewall's rules cannot be listed: neither nft nor iptables-save works here", {
    hint: "as root on the host: nft list ruleset; iptables-save",
  });

/** Where a rule that lets packets pass is to be put, as a command. */
export const insertion = (
  { program, family, table, name }: Chain,
  rule: { readonly nft: string; readonly iptables: string },
): string =>
  program === "nft"
    ? `nft insert rule ${family} ${table} ${name} ${rule.nft}`
    : `${program}${table === "filter" ? "" : ` -t ${table}`} -I ${name} ${rule.iptables}`;

export const shown = ({ chain: { program, family, table, name }, text }: Obstacle): string =>
  program === "nft"
    ? `${family} ${table} ${name}: ${text}`
    : `${program} ${table} ${name}: ${text.replace(/^-A \S+ /, "")}`;

type Kind = { readonly words: string; readonly protocol: "udp" | "esp"; readonly port?: number };

const kindsOf = ({ plainEsp }: Ends): readonly Kind[] => [
  { words: "UDP 500", protocol: "udp", port: 500 },
  { words: "UDP 4500", protocol: "udp", port: 4500 },
  ...(plainEsp ? [{ words: "ESP", protocol: "esp" } as const] : []),
];

const outgoing = (ruleset: Ruleset, ends: Ends): readonly CheckResult[] => {
  const fates = kindsOf(ends).map((kind) => ({
    kind,
    fate: fateOf(ruleset, ["output", "postrouting", "egress"], filters, packetOut(kind, ends)),
  }));
  return told(fates, ({ passes }) => ({
    verdict: passes ? "warning" : "failure",
    words: `to the peer ${passes ? "may be" : "are"} dropped`,
  }));
};

const incoming = (ruleset: Ruleset, ends: Ends): readonly CheckResult[] => {
  const fate = (kind: Kind, state: Packet["state"]): Fate =>
    fateOf(ruleset, ["ingress", "prerouting", "input"], filters, { ...packetIn(kind, ends), state });
  const kinds = kindsOf(ends);
  const answers = kinds.map((kind) => ({ kind, fate: fate(kind, "established") }));
  const stopped = told(answers, ({ passes }) => ({
    verdict: passes ? "warning" : "failure",
    words: `from the peer ${passes ? "may be" : "are"} dropped`,
  }));
  const isStopped = new Set(
    answers.flatMap(({ kind, fate: { obstacles } }) => (obstacles.length > 0 ? kind : [])),
  );
  const calls = kinds
    .filter((kind) => !isStopped.has(kind))
    .map((kind) => ({ kind, fate: fate(kind, "new") }));
  return [
    ...stopped,
    ...told(calls, ({ passes }) => ({
      verdict: ends.onlyAnswers && !passes ? "failure" : "warning",
      words: `from the peer ${passes ? "may be" : "are"} dropped unless we began, so it cannot begin by itself`,
    })),
  ];
};

const filters = ["filter", "route"] as const;

const packetOut = ({ protocol, port }: Kind, ends: Ends): Packet => ({
  family: ends.family,
  protocol,
  source: ends.local,
  destination: ends.remote,
  ...(port === undefined ? {} : { sourcePort: port, destinationPort: port }),
  state: "new",
  output: ends.device,
});

const packetIn = (kind: Kind, ends: Ends): Packet => {
  const { output, source, destination, ...rest } = packetOut(kind, ends);
  return { ...rest, source: destination, destination: source, input: output };
};

type Judgement = { readonly verdict: "warning" | "failure"; readonly words: string };

/** One result for all kinds of packets that the same rules stop in the same way. */
const told = (
  fates: readonly { readonly kind: Kind; readonly fate: Fate }[],
  judge: (fate: Fate) => Judgement,
): readonly CheckResult[] => {
  const groups = new Map<string, { readonly kinds: string[]; readonly fate: Fate }>();
  for (const { kind, fate } of fates) {
    if (fate.obstacles.length === 0) continue;
    const key = `${fate.passes} ${fate.obstacles.map(shown).join("\n")}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { kinds: [kind.words], fate });
    else group.kinds.push(kind.words);
  }
  return [...groups.values()].map(({ kinds, fate }) => {
    const { verdict, words } = judge(fate);
    const [first] = fate.obstacles as readonly [Obstacle, ...Obstacle[]];
    return result("firewall", verdict, `packets of ${kinds.join(", ")} ${words}: ${shown(first)}`, {
      hint: insertion(first.chain, letting(kinds)),
      details: { rules: fate.obstacles.map(shown), certain: !fate.passes },
    });
  });
};

const letting = (kinds: readonly string[]): { readonly nft: string; readonly iptables: string } =>
  kinds.includes("ESP")
    ? kinds.length === 1
      ? { nft: "meta l4proto esp accept", iptables: "-p esp -j ACCEPT" }
      : { nft: "meta l4proto { udp, esp } accept", iptables: "-p udp -j ACCEPT, and the same with -p esp" }
    : {
        nft: "udp dport { 500, 4500 } accept",
        iptables: "-p udp -m multiport --dports 500,4500 -j ACCEPT",
      };
