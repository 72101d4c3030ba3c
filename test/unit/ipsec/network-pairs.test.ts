import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Network, overlaps, parseNetwork } from "../../../src/ipsec/network.ts";
import { type NetworkPair, pairsOf, separatePairs } from "../../../src/ipsec/network-pairs.ts";

const network = (text: string): Network => {
  const parsed = parseNetwork(text);
  assert.ok(parsed.ok, text);
  return parsed.value.network;
};

const pair = (local: string, remote: string): NetworkPair => ({
  local: network(local),
  remote: network(remote),
});

const texts = (pairs: readonly NetworkPair[]): readonly string[] =>
  pairs.map(({ local, remote }) => `${local.text} ${remote.text}`);

test("each local network is paired with each remote one of its family", () => {
  const pairs = pairsOf(
    [network("10.1.0.0/16"), network("2001:db8:1::/48")],
    [network("10.2.0.0/16"), network("10.3.0.0/16"), network("2001:db8:2::/48")],
  );
  assert.deepEqual(texts(pairs), [
    "10.1.0.0/16 10.2.0.0/16",
    "10.1.0.0/16 10.3.0.0/16",
    "2001:db8:1::/48 2001:db8:2::/48",
  ]);
});

test("a pair in another is left out, and one that crosses another stands apart", () => {
  const { disjoint, crossing } = separatePairs([
    pair("10.1.3.0/24", "10.2.0.0/16"),
    pair("10.1.0.0/16", "10.2.3.0/24"),
    pair("10.1.0.0/16", "10.2.3.4/32"),
    pair("10.1.0.0/16", "10.4.0.0/16"),
    pair("10.1.3.0/24", "10.2.0.0/16"),
  ]);
  assert.deepEqual(texts(disjoint), ["10.1.3.0/24 10.2.0.0/16", "10.1.0.0/16 10.4.0.0/16"]);
  assert.deepEqual(texts(crossing), ["10.1.0.0/16 10.2.3.0/24", "10.1.0.0/16 10.2.3.4/32"]);
});

test("whatever the pairs, the same packets are in them afterwards, and the disjoint ones share none", () => {
  fc.assert(
    fc.property(fc.array(anyPair, { maxLength: 12 }), (pairs) => {
      const { disjoint, crossing } = separatePairs(pairs);
      for (const [index, one] of disjoint.entries())
        for (const other of disjoint.slice(index + 1))
          assert.ok(!share(one, other), texts([one, other]).join());
      const kept = [...disjoint, ...crossing];
      for (const one of pairs)
        assert.ok(
          kept.some((other) => isIn(one, other)),
          texts([one]).join(),
        );
      for (const one of kept) assert.ok(pairs.includes(one));
    }),
  );
});

/** Few addresses, so that networks often lie in each other. */
const anyNetwork = fc
  .tuple(fc.integer({ min: 0, max: 15 }), fc.integer({ min: 27, max: 32 }))
  .map(([host, length]) => network(`10.0.0.${host}/${length}`));

const anyPair = fc.record({ local: anyNetwork, remote: anyNetwork });

const share = (one: NetworkPair, other: NetworkPair): boolean =>
  overlaps(one.local, other.local) && overlaps(one.remote, other.remote);

const isIn = (one: NetworkPair, other: NetworkPair): boolean =>
  share(one, other) &&
  one.local.prefixLength >= other.local.prefixLength &&
  one.remote.prefixLength >= other.remote.prefixLength;
