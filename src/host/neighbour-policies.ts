import type { Connection } from "../gateway/gateway.ts";
import { type Network, overlaps, parseNetwork } from "../ipsec/network.ts";
import type { Argv, Step } from "./step.ts";

/**
 * Lets neighbour discovery of IPv6 (RFC 4861) pass between two networks as long as there is no tunnel, where the peer
 * itself is in the one: on one link with us it would never be found, nor find us, since the kernel holds the answers to
 * be packets of the networks (net/ipv6/route.c, icmp6_dst_alloc). ARP of IPv4 knows no policies.
 */
export const planNeighbourPolicies = (
  { remote }: Pick<Connection, "remote">,
  local: Network,
  peers: Network,
): readonly Step[] => {
  if (remote.endpoint.kind !== "address" || peers.family === "ipv4") return [];
  const peer = parseNetwork(remote.endpoint.address.text);
  if (!peer.ok || !overlaps(peer.value.network, peers)) return [];
  const why = `let ${local.text} and ${peers.text} find each other on one link`;
  return [
    { direction: "out", source: local, destination: peers },
    { direction: "in", source: peers, destination: local },
  ].flatMap(({ direction, source, destination }): readonly Step[] => {
    const selector = ["src", source.text, "dst", destination.text, "proto", "ipv6-icmp"];
    const rest = ["dir", direction, "action", "allow", "priority", String(priorityOfTrap(local, peers))];
    const argv = (type: string): Argv => [
      ...(["ip", "xfrm", "policy", "update"] as const),
      ...[...selector, "type", type, ...rest],
    ];
    const undo: Argv = ["ip", "xfrm", "policy", "deleteall", ...selector, ...rest];
    return [
      { why, argv: argv(solicitation), undo },
      { why, argv: argv(advertisement) },
    ];
  });
};

/** RFC 4861 §4.3, §4.4. */
const solicitation = "135";
const advertisement = "136";

/**
 * That of charon's policy which waits for packets; the one of a tunnel is 1 less and so comes first, the one that
 * discards comes last (kernel_netlink_ipsec.c of strongSwan, get_priority). Of two that are equal the older one counts
 * (net/xfrm/xfrm_policy.c, xfrm_policy_insert_list), and ours is made before charon starts.
 */
const priorityOfTrap = (local: Network, remote: Network): number =>
  400_000 - 512 * (local.prefixLength + remote.prefixLength);
