import type { Namespace } from "./namespace.ts";

/** A fault on the way, until it heals. */
export type Disturbance = {
  /** Packets that it hit so far, all its places together. */
  readonly hits: () => Promise<number>;
  readonly heal: () => Promise<void>;
  readonly [Symbol.asyncDispose]: () => Promise<void>;
};

/** Where packets pass: the device of a namespace. */
export type Passage = { readonly namespace: Namespace; readonly device: string };

export type Fault = {
  /** `corrupt` overwrites a byte behind the headers of ESP and IKE, and mends no checksum. */
  readonly kind: "drop" | "corrupt" | "duplicate";
  /** Of the packets of each direction, 0 to 100, fractions allowed. */
  readonly percent: number;
  /** Only packets that this nft expression matches, such as `udp dport 500`; without it all of IPv4 and IPv6. */
  readonly match?: string;
};

let made = 0;

/**
 * Loses and corrupts packets where they arrive, before anything but a capture sees them; who sent them notices nothing.
 * Duplicates them where they leave. ARP and neighbour discovery pass: their loss would delay packets by seconds.
 * In nftables, since kernels without netem have that.
 */
export const disturb = async (passages: readonly Passage[], fault: Fault): Promise<Disturbance> => {
  made += 1;
  const table = `lab_${made}`;
  await Promise.all(
    passages.map(({ namespace, device }) =>
      namespace.run(["nft", "-f", "-"], { input: ruleset(table, device, fault) }),
    ),
  );
  let healed: Promise<unknown> | undefined;
  const heal = async () => {
    healed ??= Promise.all(
      passages.map(({ namespace }) => namespace.run(["nft", "delete", "table", "netdev", table])),
    );
    await healed;
  };
  return {
    hits: async () => {
      const listings = await Promise.all(
        passages.map(({ namespace }) => namespace.run(["nft", "list", "table", "netdev", table])),
      );
      return listings.reduce((sum, text) => sum + Number(/counter packets (\d+)/.exec(text)?.[1] ?? 0), 0);
    },
    heal,
    [Symbol.asyncDispose]: heal,
  };
};

const ruleset = (table: string, device: string, { kind, percent, match = anyIp }: Fault): string => `
table netdev ${table} {
  chain passage {
    type filter hook ${kind === "duplicate" ? "egress" : "ingress"} device "${device}" priority 0; policy accept;
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
    ${match} ${chance(percent)} counter ${verdict(kind, device)}
  }
}
`;

const anyIp = "meta protocol { ip, ip6 }";

/** nft refuses a comparison that is always true. */
const chance = (percent: number): string =>
  percent === 100 ? "" : `numgen random mod 10000 < ${Math.round(percent * 100)}`;

const verdict = (kind: Fault["kind"], device: string): string => {
  switch (kind) {
    case "drop":
      return "drop";
    case "corrupt":
      return "@th,192,8 set 0x5a";
    case "duplicate":
      return `dup to "${device}"`;
    default:
      return kind satisfies never;
  }
};
