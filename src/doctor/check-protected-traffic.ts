import type { Network } from "../ipsec/network.ts";
import { insertion, shown, unlisted } from "./check-firewall.ts";
import { type CheckResult, result } from "./check-result.ts";
import type { Packet } from "./packet.ts";
import { fateOf, type Obstacle, type Ruleset } from "./ruleset.ts";

/** Packets between two protected networks. */
export type ProtectedTraffic = {
  readonly local: Network;
  readonly remote: Network;
  /** The interface by which they leave, as far as it is known. */
  readonly device?: string | undefined;
  /** Whether a policy of the kernel takes them, rather than an interface. */
  readonly byPolicy: boolean;
};

/** Whether `IPSEC_NAT_EXEMPT` is set, and a gateway runs, so that its rule can be seen. */
export type Exemption = { readonly isAsked: boolean; readonly isMade: boolean };

/** Whether a source address would be changed before the tunnel takes the packet: it then no longer fits the policy. */
export const checkTranslation = (
  ruleset: Ruleset | undefined,
  traffic: readonly ProtectedTraffic[],
  exemption: Exemption,
): readonly CheckResult[] => {
  if (ruleset === undefined) return [unlisted("address-translation")];
  if (traffic.length === 0)
    return [result("address-translation", "skipped", "the protected networks are not known")];
  const findings = traffic.flatMap(({ local, remote, device, byPolicy }) => {
    const packet = { ...inner(local, remote), output: device, toIpsec: byPolicy };
    const { passes, obstacles } = fateOf(ruleset, ["postrouting"], ["nat"], packet);
    const [first] = obstacles;
    if (first === undefined) return [];
    const words = passes ? "may get another source address" : "get another source address";
    const command = commandFor(first, local, remote);
    return [
      result(
        "address-translation",
        passes ? "warning" : "failure",
        `packets from ${local.text} to ${remote.text} ${words} before the tunnel: ${shown(first)}`,
        {
          hint: exemption.isAsked ? command : `set IPSEC_NAT_EXEMPT=yes, or: ${command}`,
          details: { rules: obstacles.map(shown), certain: !passes },
        },
      ),
    ];
  });
  if (findings.length > 0 && exemption.isAsked && !exemption.isMade) {
    const message =
      "rules would change the source addresses of the tunnel's packets; the gateway exempts them when it runs";
    return [result("address-translation", "ok", message)];
  }
  if (findings.length > 0) return findings;
  return [
    result("address-translation", "ok", "no rule changes the source addresses of the tunnel's packets"),
  ];
};

const commandFor = (obstacle: Obstacle, local: Network, remote: Network): string => {
  const keyword = local.family === "ipv4" ? "ip" : "ip6";
  return insertion(obstacle.chain, {
    nft: `${keyword} saddr ${local.text} ${keyword} daddr ${remote.text} accept`,
    iptables: `-s ${local.text} -d ${remote.text} -j ACCEPT`,
  });
};

/** Whether hosts behind this gateway are let through; what it sends itself does not need that. */
export const checkForwarding = (
  ruleset: Ruleset | undefined,
  traffic: readonly ProtectedTraffic[],
): readonly CheckResult[] => {
  if (ruleset === undefined) return [unlisted("forwarding")];
  if (traffic.length === 0) return [result("forwarding", "skipped", "the protected networks are not known")];
  const findings = traffic.flatMap(({ local, remote, device }) => [
    ...forwarded(ruleset, { ...inner(local, remote), output: device }),
    ...forwarded(ruleset, { ...inner(remote, local), input: device }),
  ]);
  if (findings.length > 0) return findings;
  return [result("forwarding", "ok", "no rule of this host stops packets between the protected networks")];
};

const forwarded = (ruleset: Ruleset, packet: InnerPacket): readonly CheckResult[] => {
  const { passes, obstacles } = fateOf(ruleset, ["forward"], ["filter"], packet);
  const [first] = obstacles;
  if (first === undefined) return [];
  const { source, destination } = packet;
  const keyword = packet.family === "ipv4" ? "ip" : "ip6";
  return [
    result(
      "forwarding",
      "warning",
      `packets from ${source.text} to ${destination.text} ${passes ? "may be" : "are"} dropped when a host behind the gateway sends them: ${shown(first)}`,
      {
        hint: insertion(first.chain, {
          nft: `${keyword} saddr ${source.text} ${keyword} daddr ${destination.text} accept`,
          iptables: `-s ${source.text} -d ${destination.text} -j ACCEPT`,
        }),
        details: { rules: obstacles.map(shown), certain: !passes },
      },
    ),
  ];
};

type InnerPacket = Packet & { readonly source: Network; readonly destination: Network };

const inner = (source: Network, destination: Network): InnerPacket => ({
  family: source.family,
  protocol: "any",
  source,
  destination,
  state: "new",
});
