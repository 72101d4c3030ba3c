import { memoized } from "../memoized.ts";
import { type Network, prefixBits } from "./network.ts";

/** The packets between two networks of one family. */
export type NetworkPair = { readonly local: Network; readonly remote: Network };

/** Each local network with each remote one of its family. */
export const pairsOf = (
  locals: readonly Network[],
  remotes: readonly Network[],
): readonly (NetworkPair & Pick<Network, "family">)[] =>
  locals.flatMap((local) =>
    remotes
      .filter(({ family }) => family === local.family)
      .map((remote) => ({ family: local.family, local, remote })),
  );

/**
 * The same packets in fewer pairs: without those that lie in another. `disjoint` have no packet in common; `crossing` are
 * the few that share some with them, where one has the wider local and the other the wider remote network. The pairs
 * must be of one family.
 */
export const separatePairs = (
  pairs: readonly NetworkPair[],
): { readonly disjoint: readonly NetworkPair[]; readonly crossing: readonly NetworkPair[] } => {
  const disjoint: NetworkPair[] = [];
  const crossing: NetworkPair[] = [];
  let around: readonly Prefixes[] = [];
  // A network stands before all that lie in it, so whatever is around a remote network has been met.
  for (const one of pairs.map(prefixesOf).sort(inOrder)) {
    around = around.filter(({ remote }) => one.remote.startsWith(remote));
    if (around.some(({ local }) => one.local.startsWith(local))) continue;
    if (around.some(({ local }) => local.startsWith(one.local))) crossing.push(one.pair);
    else {
      disjoint.push(one.pair);
      around = [...around, one];
    }
  }
  return { disjoint, crossing };
};

type Prefixes = { readonly pair: NetworkPair; readonly local: string; readonly remote: string };

const prefixesOf = (pair: NetworkPair): Prefixes => ({
  pair,
  local: prefixOf(pair.local).bits,
  remote: prefixOf(pair.remote).bits,
});

/** A reload of a thousand tunnels finds most of their networks as they were. */
const prefixOf = memoized((network: Network) => ({ bits: prefixBits(network) }));

const inOrder = (one: Prefixes, other: Prefixes): number =>
  compare(one.remote, other.remote) || compare(one.local, other.local);

const compare = (one: string, other: string): number => (one < other ? -1 : one > other ? 1 : 0);
