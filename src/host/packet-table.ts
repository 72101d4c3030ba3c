import type { Dataplane } from "../gateway/dataplane.ts";
import type { PacketRule } from "../gateway/packet-rule.ts";
import type { AddressFamily } from "../ipsec/address.ts";
import { type NetworkPair, pairsOf, separatePairs } from "../ipsec/network-pairs.ts";

/** What no other program makes: of nftables, family inet. */
export const packetTable = "vnf_ipsec";

/**
 * The table that does to packets what the rules say, in the language of nft(8), to be loaded in one transaction; it
 * replaces one that is there. Undefined where there is nothing to do.
 *
 * A SYN is seen twice. On its way to a tunnel behind the translation of sources, with the addresses that the tunnel's
 * policies see; on its way from one before that of destinations. Those that hosts here send and get are seen too, as
 * containers that share our network have no other place where they would be. The kernel makes a size smaller and never
 * larger (net/netfilter/nft_exthdr.c, nft_exthdr_tcp_set_eval), so of several rules the smallest size counts.
 *
 * Sources: `accept` in one chain of type nat does not keep a packet from the next. What does is a translation, which may
 * be one to the same address: nobody translates a connection twice (net/netfilter/nf_nat_core.c, nf_nat_inet_fn).
 */
export const renderPacketTable = (dataplane: Dataplane, rules: readonly PacketRule[]): string | undefined => {
  const clamps = [...clampsByNetworks(dataplane, rules), ...clampsByInterface(dataplane, rules)];
  const exemptions = exemptionsOf(rules);
  if (clamps.length === 0 && exemptions.length === 0) return undefined;
  const sets = [...clamps, ...exemptions].flatMap(({ set }) => set ?? []);
  const chains = [
    ...(clamps.length === 0
      ? []
      : [
          chain("clamp_to_tunnels", rulesOf(clamps, "out")),
          chain("clamp_from_tunnels", rulesOf(clamps, "in")),
          chain("to_tunnels", [
            "type filter hook postrouting priority srcnat + 50; policy accept;",
            "tcp flags & (syn | rst) == syn jump clamp_to_tunnels",
          ]),
          chain("from_tunnels", [
            "type filter hook prerouting priority mangle; policy accept;",
            "tcp flags & (syn | rst) == syn jump clamp_from_tunnels",
          ]),
        ]),
    ...(exemptions.length === 0
      ? []
      : [
          chain("keep_sources", [
            "type nat hook postrouting priority srcnat - 10; policy accept;",
            ...rulesOf(exemptions, "out"),
          ]),
        ]),
  ];
  const place = `table inet ${packetTable}`;
  return [
    `add ${place}`,
    `delete ${place}`,
    `${place} {`,
    ...[...sets.map(setText), ...chains].flat().map((line) => `\t${line}`),
    "}",
    "",
  ].join("\n");
};

type Direction = "in" | "out";

/** A statement, and what tells the packets that it is for. */
type Treatment = {
  readonly statement: string;
  readonly matches: Readonly<Record<Direction, readonly string[]>>;
  readonly set?: PairSet;
};

type PairSet = {
  readonly name: string;
  readonly family: AddressFamily;
  readonly pairs: readonly NetworkPair[];
};

const clampsByNetworks = (dataplane: Dataplane, rules: readonly PacketRule[]): readonly Treatment[] => {
  const pairs = rules.flatMap(({ localNetworks, remoteNetworks, interfaceName, segments }) =>
    interfaceName !== undefined || segments === undefined
      ? []
      : pairsOf(localNetworks, remoteNetworks).map((pair) => ({
          ...pair,
          size: segments[dataplane][pair.family],
        })),
  );
  return [...Map.groupBy(pairs, ({ family, size }) => `${family}_${size}`)].flatMap(([name, alike]) =>
    alike.slice(0, 1).map(({ family, size }) => treat(`clamp_${name}`, family, alike, "", clampTo(size))),
  );
};

/** All that passes an interface is a tunnel's. */
const clampsByInterface = (dataplane: Dataplane, rules: readonly PacketRule[]): readonly Treatment[] => {
  const statements = rules.flatMap(({ interfaceName, segments }) =>
    interfaceName === undefined || segments === undefined
      ? []
      : families.map(
          (family) =>
            [interfaceName, `meta nfproto ${family} ${clampTo(segments[dataplane][family])}`] as const,
        ),
  );
  const distinct = new Map(statements.map((one) => [one.join(" "), one]));
  return [...distinct.values()].map(([name, statement]) => ({
    statement,
    matches: { out: [`oifname "${name}"`], in: [`iifname "${name}"`] },
  }));
};

const clampTo = (size: number): string => `tcp option maxseg size set ${size}`;

const exemptionsOf = (rules: readonly PacketRule[]): readonly Treatment[] => {
  const pairs = rules
    .filter(({ keepsSource }) => keepsSource)
    .flatMap(({ localNetworks, remoteNetworks, interfaceName }) =>
      pairsOf(localNetworks, remoteNetworks).map((pair) => ({ ...pair, interfaceName })),
    );
  const alike = Map.groupBy(pairs, ({ family, interfaceName }) =>
    interfaceName === undefined ? family : `${family}_${interfaceName}`,
  );
  return [...alike].flatMap(([name, own]) =>
    own.slice(0, 1).map(({ family, interfaceName }) => {
      const leaving = interfaceName === undefined ? "" : `oifname "${interfaceName}" `;
      return treat(
        `keep_${name}`,
        family,
        own,
        leaving,
        `snat ${keywords[family]} to ${keywords[family]} saddr`,
      );
    }),
  );
};

/** A set cannot hold pairs that cross others (net/netfilter/nft_set_pipapo.c), so these get rules of their own. */
const treat = (
  name: string,
  family: AddressFamily,
  pairs: readonly NetworkPair[],
  leaving: string,
  statement: string,
): Treatment => {
  const { disjoint, crossing } = separatePairs(pairs);
  const keyword = keywords[family];
  const matches = (local: string, remote: string): readonly string[] => [
    `${leaving}${keyword} ${local} . ${keyword} ${remote} @${name}`,
    ...crossing.map(
      (pair) => `${leaving}${keyword} ${local} ${pair.local.text} ${keyword} ${remote} ${pair.remote.text}`,
    ),
  ];
  return {
    statement,
    matches: { out: matches("saddr", "daddr"), in: matches("daddr", "saddr") },
    set: { name, family, pairs: disjoint },
  };
};

const families = ["ipv4", "ipv6"] as const;
const keywords = { ipv4: "ip", ipv6: "ip6" } as const;

const rulesOf = (treatments: readonly Treatment[], direction: Direction): readonly string[] =>
  treatments.flatMap(({ statement, matches }) => matches[direction].map((match) => `${match} ${statement}`));

const chain = (name: string, lines: readonly string[]): readonly string[] => [
  `chain ${name} {`,
  ...lines.map((line) => `\t${line}`),
  "}",
];

const setText = ({ name, family, pairs }: PairSet): readonly string[] => [
  `set ${name} {`,
  `\ttype ${family}_addr . ${family}_addr`,
  "\tflags interval",
  "\telements = {",
  ...pairs.map(({ local, remote }) => `\t\t${local.text} . ${remote.text},`),
  "\t}",
  "}",
];
