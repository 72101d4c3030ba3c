import { enclosing, type Network, overlaps } from "../ipsec/network.ts";

/** Who claims what; `locals` and `remotes` may be shared between claims. */
export type Claim<Owner> = {
  readonly owner: Owner;
  readonly locals: readonly Network[];
  readonly remotes: readonly Network[];
};

/** Both send packets between these networks into their tunnels. */
export type SharedPair<Owner> = {
  readonly first: Owner;
  readonly second: Owner;
  readonly local: Network;
  readonly remote: Network;
};

/** A network that encloses those of others, which win for being smaller (charon gives their policies precedence). */
export type Enclosure<Owner> = {
  readonly outer: Owner;
  readonly network: Network;
  readonly inner: readonly { readonly owner: Owner; readonly network: Network }[];
};

/**
 * Finds pairs of networks that have two owners, one for each second owner at most, and remote networks that lie in
 * those of others. Takes time in proportion to the number of remote networks and of their prefix lengths.
 */
export const findSharedNetworks = <Owner>(
  claims: readonly Claim<Owner>[],
): { readonly pairs: readonly SharedPair<Owner>[]; readonly enclosures: readonly Enclosure<Owner>[] } => {
  const byRemote = new Map<string, Claim<Owner>[]>();
  const lengths = new Set<number>();
  const pairs: SharedPair<Owner>[] = [];
  for (const claim of claims) {
    const shared = sharedPair(claim, byRemote);
    if (shared !== undefined) {
      pairs.push(shared);
      continue;
    }
    for (const { text, prefixLength } of claim.remotes) {
      byRemote.set(text, [...(byRemote.get(text) ?? []), claim]);
      lengths.add(prefixLength);
    }
  }
  return { pairs, enclosures: enclosuresIn(claims, byRemote, [...lengths].sort(descending)) };
};

const sharedPair = <Owner>(
  { owner, locals, remotes }: Claim<Owner>,
  byRemote: ReadonlyMap<string, readonly Claim<Owner>[]>,
): SharedPair<Owner> | undefined => {
  for (const remote of remotes) {
    for (const other of byRemote.get(remote.text) ?? []) {
      const local = locals.find((one) => other.locals.some(({ text }) => text === one.text));
      if (local !== undefined) return { first: other.owner, second: owner, local, remote };
    }
  }
  return undefined;
};

const enclosuresIn = <Owner>(
  claims: readonly Claim<Owner>[],
  byRemote: ReadonlyMap<string, readonly Claim<Owner>[]>,
  lengths: readonly number[],
): readonly Enclosure<Owner>[] => {
  const found = new Map<
    string,
    { outer: Owner; network: Network; inner: { owner: Owner; network: Network }[] }
  >();
  for (const { owner, locals, remotes } of claims) {
    for (const network of remotes) {
      for (const length of lengths) {
        if (length >= network.prefixLength) continue;
        const outer = enclosing(network, length);
        const claim = byRemote
          .get(outer.text)
          ?.find((other) => other.owner !== owner && meet(other.locals, locals));
        if (claim === undefined) continue;
        const enclosure = found.get(outer.text) ?? { outer: claim.owner, network: outer, inner: [] };
        found.set(outer.text, enclosure);
        enclosure.inner.push({ owner, network });
        break;
      }
    }
  }
  return [...found.values()];
};

const meet = (some: readonly Network[], others: readonly Network[]): boolean =>
  some === others || some.some((one) => others.some((other) => overlaps(one, other)));

const descending = (one: number, other: number): number => other - one;
