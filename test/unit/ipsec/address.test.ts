import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  isHostName,
  parseAddress,
  parseInterfaceAddress,
  parseLocalEndpoint,
  parseRemoteEndpoint,
} from "../../../src/ipsec/address.ts";

const canonical = (text: string) => {
  const result = parseAddress(text);
  return result.ok ? result.value.text : undefined;
};

test("addresses get their canonical form", () => {
  for (const [text, expected] of [
    ["192.0.2.1", "192.0.2.1"],
    ["2001:DB8:0:0:0:0:0:1", "2001:db8::1"],
    ["2001:db8::0001", "2001:db8::1"],
  ] as const) {
    assert.equal(canonical(text), expected);
    assert.equal(canonical(expected), expected);
  }
});

test("what two programs would read differently is no address", () => {
  for (const text of [
    "",
    " ",
    "192.0.2",
    "192.0.2.01",
    "0xC0000201",
    "3221225985",
    "1.2.3.4.5",
    "1.2.3.4 ",
    "fe80::1%eth0",
    "[::1]",
    "::1::",
    "12345::",
    "1.2.3.4/32",
    "١.2.3.4",
  ]) {
    assert.equal(canonical(text), undefined, text);
  }
});

test("every IPv4 and IPv6 address is read as itself", () => {
  fc.assert(fc.property(fc.ipV4(), (text) => assert.equal(canonical(text), text)));
  fc.assert(
    fc.property(fc.ipV6(), (text) => {
      const once = canonical(text);
      assert.ok(once, text);
      assert.equal(canonical(once), once);
    }),
  );
});

test("an endpoint is an address that one host can have, or %any", () => {
  for (const text of ["0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255", "fe80::1"]) {
    assert.equal(parseLocalEndpoint(text).ok, false, text);
    assert.equal(parseRemoteEndpoint(text).ok, false, text);
  }
  assert.deepEqual(parseLocalEndpoint("%ANY"), { ok: true, value: { kind: "any" } });
  assert.equal(parseLocalEndpoint("vpn.example.com").ok, false);
  assert.deepEqual(parseRemoteEndpoint("vpn.example.com"), {
    ok: true,
    value: { kind: "name", name: "vpn.example.com" },
  });
});

test("a mistyped address never passes as a host name", () => {
  for (const text of [
    "192.0.2.256",
    "192.0.2",
    "1.2.3.4.5",
    "10",
    "-a",
    "a-",
    "a..b",
    "a b",
    "a\n",
    ".",
    "",
    `${"a".repeat(64)}.de`,
    "%any6",
  ]) {
    assert.equal(isHostName(text), false, text);
  }
  for (const text of ["vpn", "vpn.example.com", "a1-b.example.co", "x_y.example.com", "3com.example"])
    assert.equal(isHostName(text), true, text);
});

test("an interface's address may carry the length of its prefix", () => {
  assert.deepEqual(parseInterfaceAddress("169.254.10.1/30"), {
    ok: true,
    value: { address: { family: "ipv4", text: "169.254.10.1" }, prefixLength: 30 },
  });
  assert.equal(parseInterfaceAddress("2001:db8::1/128").ok, true);
  for (const text of [
    "169.254.10.1/",
    "169.254.10.1/0",
    "169.254.10.1/33",
    "169.254.10.1/030",
    "a/30",
    "::1/129",
    "1.2.3.4/5/6",
  ]) {
    assert.equal(parseInterfaceAddress(text).ok, false, text);
  }
});
