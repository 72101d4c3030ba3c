import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Network, overlaps, parseNetwork } from "../../../src/ipsec/network.ts";
import { type Claim, findSharedNetworks } from "../../../src/settings/shared-networks.ts";

const network = (text: string): Network => {
  const parsed = parseNetwork(text);
  return parsed.ok ? parsed.value.network : assert.fail(text);
};

const claim = (owner: string, locals: readonly string[], remotes: readonly string[]): Claim<string> => ({
  owner,
  locals: locals.map(network),
  remotes: remotes.map(network),
});

test("a pair of networks with two owners is found, and the same remote network for other local ones is not one", () => {
  const { pairs, enclosures } = findSharedNetworks([
    claim("berlin", ["10.1.0.0/24"], ["10.9.0.0/16"]),
    claim("paris", ["10.1.1.0/24"], ["10.9.0.0/16"]),
    claim("rome", ["10.1.2.0/24", "10.1.1.0/24"], ["10.8.0.0/16", "10.9.0.0/16"]),
  ]);
  assert.deepEqual(
    pairs.map(({ first, second, local, remote }) => [first, second, local.text, remote.text]),
    [["paris", "rome", "10.1.1.0/24", "10.9.0.0/16"]],
  );
  assert.deepEqual(enclosures, []);
});

test("a network that encloses those of others is found once, with all of them", () => {
  const { enclosures } = findSharedNetworks([
    claim("hub", ["192.168.0.0/16"], ["10.0.0.0/8", "2001:db8::/32"]),
    claim("berlin", ["192.168.1.0/24"], ["10.2.0.0/16"]),
    claim("paris", ["192.168.1.0/24"], ["10.3.0.0/16", "2001:db8:3::/48"]),
    claim("elsewhere", ["172.16.0.0/12"], ["10.4.0.0/16"]),
  ]);
  assert.deepEqual(
    enclosures.map(({ outer, network, inner }) => [outer, network.text, inner.map((one) => one.owner)]),
    [
      ["hub", "10.0.0.0/8", ["berlin", "paris"]],
      ["hub", "2001:db8::/32", ["paris"]],
    ],
  );
});

const smallNetwork = fc
  .tuple(fc.integer({ min: 0, max: 15 }), fc.integer({ min: 28, max: 32 }))
  .map(([last, length]) => network(`10.0.0.${last}/${length}`));

test("there are findings exactly where comparing each with each finds any", () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.record({
          locals: fc.array(smallNetwork, { minLength: 1, maxLength: 2 }),
          remotes: fc.array(smallNetwork, { minLength: 1, maxLength: 3 }),
        }),
        { maxLength: 5 },
      ),
      (drawn) => {
        const claims = drawn.map((one, index) => ({ ...one, owner: index }));
        const { pairs, enclosures } = findSharedNetworks(claims);
        const both = claims.flatMap((one) =>
          claims.filter((other) => other.owner < one.owner).map((other) => [other, one] as const),
        );
        const same = (some: readonly Network[], others: readonly Network[]): boolean =>
          some.some((one) => others.some(({ text }) => text === one.text));
        const meets = ([one, other]: (typeof both)[number]): boolean =>
          one.locals.some((local) => other.locals.some((of) => overlaps(local, of))) &&
          one.remotes.some((remote) =>
            other.remotes.some((of) => remote.text !== of.text && overlaps(remote, of)),
          );
        assert.equal(
          pairs.length > 0,
          both.some(([one, other]) => same(one.locals, other.locals) && same(one.remotes, other.remotes)),
        );
        if (pairs.length === 0) assert.equal(enclosures.length > 0, both.some(meets));
      },
    ),
  );
});
