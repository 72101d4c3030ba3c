import { type Answer, all, isInterface, type Packet, some, sure } from "./packet.ts";

/** The firewalls of a network namespace, in one form whatever lists them. */
export type Ruleset = readonly Chain[];

export type Chain = {
  /** What lists it, and by which its rules are changed. */
  readonly program: "nft" | "iptables-nft" | "ip6tables-nft" | "iptables-legacy" | "ip6tables-legacy";
  readonly family: "ip" | "ip6" | "inet" | "netdev" | "bridge" | "arp";
  readonly table: string;
  readonly name: string;
  /** Absent for a chain that is only jumped to. */
  readonly base?: {
    readonly hook: Hook;
    /** `filter`, `nat`, or `route`. */
    readonly type: string;
    /** Of the chains at a hook the one with the smaller comes first. */
    readonly priority: number;
    readonly policy: "accept" | "drop";
    /** The only interfaces whose packets it sees; absent for all. */
    readonly devices?: readonly string[];
  };
  readonly rules: readonly Rule[];
};

/** Tables of the old kind are the kernel's own beside those of nftables, under the same names. */
export const isLegacy = ({ program }: Chain): boolean => program.endsWith("-legacy");

export type Hook = "ingress" | "prerouting" | "input" | "forward" | "output" | "postrouting" | "egress";

export type Rule = {
  /** As its program shows it. */
  readonly text: string;
  readonly matches: readonly ((packet: Packet) => Answer)[];
  readonly verdict: Verdict;
  /** It has a part that its program cannot put in words. */
  readonly isOpaque?: true;
};

export type Verdict =
  /** `keep` is a translation to the same address, after which no other is looked for. */
  | { readonly kind: "accept" | "drop" | "translate" | "keep" | "return" | "next" }
  | { readonly kind: "jump" | "goto"; readonly target: string };

/** Targets of iptables-extensions(8) that end a packet's way through a table; both kinds of listing may name them. */
export const verdictOfExtension = (target: unknown): Verdict | undefined => {
  switch (target) {
    case "REJECT":
      return { kind: "drop" };
    case "MASQUERADE":
    case "SNAT":
    case "NETMAP":
      return { kind: "translate" };
    default:
      return undefined;
  }
};

/** A rule that stops a packet, or a chain whose policy does. */
export type Obstacle = { readonly chain: Chain; readonly text: string };

export type Fate = {
  /** Whether it may pass all chains. */
  readonly passes: boolean;
  /** What may stop it, in order. For certain where it does not pass. */
  readonly obstacles: readonly Obstacle[];
};

/**
 * What becomes of a packet at these hooks, as far as that can be known. A chain that accepts does not spare it the next one;
 * one that keeps its address spares it the next ones of that type (net/netfilter/nf_nat_core.c, nf_nat_inet_fn).
 */
export const fateOf = (
  ruleset: Ruleset,
  hooks: readonly Hook[],
  types: readonly string[],
  packet: Packet,
): Fate => {
  const walk = createWalk(packet, ruleset);
  const fates: Fate[] = [];
  let mayBeKept = false;
  for (const chain of chainsAt(ruleset, hooks, types)) {
    const seen = concerns(chain, packet);
    if (seen === "no") continue;
    const fate = fateInBase(chain, walk);
    const isSure = seen === "yes" && !mayBeKept;
    fates.push(isSure ? fate : { ...fate, passes: true });
    if (isSure && fate.keeps === "yes") break;
    mayBeKept ||= fate.keeps !== "no";
  }
  return {
    passes: fates.every(({ passes }) => passes),
    obstacles: fates.flatMap(({ obstacles }) => obstacles),
  };
};

const chainsAt = (ruleset: Ruleset, hooks: readonly Hook[], types: readonly string[]): readonly Chain[] => {
  const priority = ({ base }: Chain): number => base?.priority ?? 0;
  return ruleset
    .filter(({ base }) => base !== undefined && hooks.includes(base.hook) && types.includes(base.type))
    .sort((one, other) => priority(one) - priority(other));
};

const concerns = ({ family, base }: Chain, packet: Packet): Answer => {
  const device = base?.hook === "egress" ? packet.output : packet.input;
  const ofDevice =
    base?.devices === undefined ? "yes" : some(base.devices.map((name) => isInterface(device, name)));
  return all([sure(isOfFamily(family, packet)), ofDevice]);
};

const isOfFamily = (family: Chain["family"], packet: Packet): boolean => {
  switch (family) {
    case "ip":
      return packet.family === "ipv4";
    case "ip6":
      return packet.family === "ipv6";
    case "inet":
    case "netdev":
      return true;
    case "bridge":
    case "arp":
      return false;
    default:
      return family satisfies never;
  }
};

const fateInBase = (chain: Chain, walk: Walk): Fate & { readonly keeps: Answer } => {
  const ways = walk(chain);
  const { returns, stops } = ways;
  const obstacles = [...stops].map((text) => ({ chain, text }));
  const accepts = ways.accepts || ways.keeps;
  const keeps = !ways.keeps ? "no" : ways.accepts || returns || stops.size > 0 ? "maybe" : "yes";
  if (!returns) return { passes: accepts, obstacles, keeps };
  return chain.base?.policy === "drop"
    ? { passes: accepts, obstacles: [...obstacles, { chain, text: "policy drop" }], keeps }
    : { passes: true, obstacles, keeps };
};

/** The ways in which a packet may leave a chain. */
type Ways = { accepts: boolean; keeps: boolean; returns: boolean; readonly stops: Set<string> };

type Walk = (chain: Chain) => Ways;

/** What a chain does to a packet is the same wherever it is jumped to from, so it is walked once. */
const createWalk = (packet: Packet, ruleset: Ruleset): Walk => {
  const places = new Map(ruleset.map((chain) => [placeOf(chain, chain.name), chain]));
  const walked = new Map<Chain, Ways>();

  const walk = (chain: Chain): Ways => {
    const known = walked.get(chain);
    if (known !== undefined) return known;
    const ways: Ways = { accepts: false, keeps: false, returns: false, stops: new Set() };
    walked.set(chain, ways);
    for (const rule of chain.rules) {
      const match = all(rule.matches.map((matches) => matches(packet)));
      if (match !== "no" && !follow(rule, ways, chain) && match === "yes") return ways;
    }
    ways.returns = true;
    return ways;
  };

  /** Adds where the rule may lead; whether the next rule may be reached through it. */
  const follow = ({ verdict, text }: Rule, ways: Ways, chain: Chain): boolean => {
    switch (verdict.kind) {
      case "accept":
        ways.accepts = true;
        return false;
      case "keep":
        ways.keeps = true;
        return false;
      case "drop":
      case "translate":
        ways.stops.add(text);
        return false;
      case "return":
        ways.returns = true;
        return false;
      case "next":
        return true;
      case "jump":
      case "goto": {
        const target = places.get(placeOf(chain, verdict.target));
        if (target === undefined) return true;
        const inner = walk(target);
        ways.accepts ||= inner.accepts;
        ways.keeps ||= inner.keeps;
        for (const stop of inner.stops) ways.stops.add(stop);
        if (verdict.kind === "goto") ways.returns ||= inner.returns;
        return verdict.kind === "jump" && inner.returns;
      }
      default:
        return verdict satisfies never;
    }
  };
  return walk;
};

const placeOf = (chain: Chain, name: string): string =>
  `${isLegacy(chain) ? "legacy " : ""}${chain.family} ${chain.table} ${name}`;
