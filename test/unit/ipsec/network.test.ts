import assert from "node:assert/strict";
import { BlockList } from "node:net";
import { test } from "node:test";
import fc from "fast-check";
import {
  isDefaultRoute,
  isLinkLocal,
  type Network,
  overlaps,
  parseNetwork,
} from "../../../src/ipsec/network.ts";

const network = (text: string): Network => {
  const result = parseNetwork(text);
  assert.ok(result.ok, text);
  return result.value.network;
};

test("a network has no host bits, and an address alone is the network of one host", () => {
  assert.equal(network("10.1.2.3/16").text, "10.1.0.0/16");
  assert.equal(network("10.1.2.3").text, "10.1.2.3/32");
  assert.equal(network("2001:DB8::1").text, "2001:db8::1/128");
  assert.equal(network("2001:db8:1:2::3/48").text, "2001:db8:1::/48");
  assert.equal(network("255.255.255.255/1").text, "128.0.0.0/1");
  assert.equal(network("10.0.0.0/0").text, "0.0.0.0/0");
});

test("host bits are a warning with both readings, and only they are", () => {
  const result = parseNetwork("10.1.2.3/16");
  assert.ok(result.ok && result.value.warning);
  assert.match(result.value.warning.message, /"10\.1\.2\.3\/16".*10\.1\.0\.0\/16/);
  assert.match(result.value.warning.hint ?? "", /10\.1\.2\.3\/32/);
  for (const text of ["10.1.0.0/16", "10.1.2.3", "10.1.2.3/32", "2001:DB8:0::/48"]) {
    const clean = parseNetwork(text);
    assert.ok(clean.ok && clean.value.warning === undefined, text);
  }
});

test("what is no network is refused", () => {
  for (const text of [
    "",
    "/",
    "10.0.0.0/",
    "10.0.0.0/33",
    "10.0.0.0/-1",
    "10.0.0.0/08",
    "10.0.0.0/8/8",
    "10/8",
    "10.0.0.0/255.0.0.0",
    "::/129",
    "10.0.0.0/8 ",
  ]) {
    assert.equal(parseNetwork(text).ok, false, text);
  }
});

test("networks overlap exactly when the one contains the other's address", () => {
  const drawn = fc.tuple(fc.ipV4(), fc.nat(32)).map(([address, length]) => network(`${address}/${length}`));
  const near = fc
    .tuple(drawn, fc.nat(32))
    .map(([one, length]) => [one, network(`${one.text.split("/")[0]}/${length}`)] as const);
  fc.assert(
    fc.property(fc.oneof(fc.tuple(drawn, drawn), near), ([one, other]) => {
      const contains = (wide: Network, narrow: Network) => {
        const list = new BlockList();
        list.addSubnet(wide.text.split("/")[0] as string, wide.prefixLength);
        return list.check(narrow.text.split("/")[0] as string);
      };
      assert.equal(
        overlaps(one, other),
        contains(one, other) || contains(other, one),
        `${one.text} ${other.text}`,
      );
      assert.equal(overlaps(one, other), overlaps(other, one));
    }),
  );
  assert.equal(overlaps(network("::/0"), network("0.0.0.0/0")), false);
});

test("the default route is everything of a family", () => {
  assert.ok(isDefaultRoute(network("0.0.0.0/0")) && isDefaultRoute(network("::/0")));
  assert.ok(!isDefaultRoute(network("0.0.0.0/1")));
});

test("link-local is what is within fe80::/10, and nothing of IPv4", () => {
  for (const text of ["fe80::/10", "fe80::/64", "fe80::1/128", "febf:ffff::/32"])
    assert.ok(isLinkLocal(network(text)), text);
  for (const text of ["fe00::/9", "fec0::/10", "::/0", "fd00::/8", "2001:db8::/32", "169.254.0.0/16"])
    assert.ok(!isLinkLocal(network(text)), text);
});
