import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { renderIdentity } from "../../../src/backend/strongswan-identity.ts";
import { type Identity, identityOfEndpoint, parseIdentity } from "../../../src/ipsec/identity.ts";

const good: readonly (readonly [string, Identity, string])[] = [
  ["192.0.2.1", { kind: "ipv4", text: "192.0.2.1" }, "192.0.2.1"],
  ["2001:DB8::1", { kind: "ipv6", text: "2001:db8::1" }, "2001:db8::1"],
  ["moon.example.com", { kind: "fqdn", text: "moon.example.com" }, "@moon.example.com"],
  ["@moon", { kind: "fqdn", text: "moon" }, "@moon"],
  ["@192.0.2.1", { kind: "fqdn", text: "192.0.2.1" }, "@192.0.2.1"],
  ["*.example.com", { kind: "fqdn", text: "*.example.com" }, "@*.example.com"],
  ["vpn@example.com", { kind: "email", text: "vpn@example.com" }, "email:vpn@example.com"],
  ["@@vpn@example.com", { kind: "email", text: "vpn@example.com" }, "email:vpn@example.com"],
  ["keyid:moon room", { kind: "keyid", text: "moon room", encoding: "text" }, "keyid:moon room"],
  ["@#6D6F", { kind: "keyid", text: "6d6f", encoding: "hex" }, "@#6d6f"],
  ["C=DE,O=Example , CN=moon", { kind: "dn", text: "C=DE, O=Example, CN=moon" }, "C=DE, O=Example, CN=moon"],
  ["/C=DE/CN=moon", { kind: "dn", text: "/C=DE/CN=moon" }, "/C=DE/CN=moon"],
  [
    'C=DE, O="Example, Ltd.", CN=moon',
    {
      kind: "dn",
      text: 'C=DE, O="Example, Ltd.", CN=moon',
      encoded:
        "3034310b300906035504061302444531163014060355040a130d4578616d706c652c204c74642e310d300b060355040313046d6f6f6e",
    },
    "asn1dn:#3034310b300906035504061302444531163014060355040a130d4578616d706c652c204c74642e310d300b060355040313046d6f6f6e",
  ],
  [
    "CN=a\\,b",
    { kind: "dn", text: 'CN="a,b"', encoded: "300e310c300a06035504031303612c62" },
    "asn1dn:#300e310c300a06035504031303612c62",
  ],
  [
    "asn1dn:#300E310C300A06035504030C034D2A6F",
    { kind: "dn", text: "CN=M*o", encoded: "300e310c300a06035504030c034d2a6f" },
    "asn1dn:#300e310c300a06035504030c034d2a6f",
  ],
  ["C=DE, CN=*", { kind: "dn", text: "C=DE, CN=*" }, "C=DE, CN=*"],
  ["%any", { kind: "any" }, "%any"],
];

test("an identity has a type and its text, and strongSwan is given the spelling that it cannot mistake", () => {
  for (const [text, identity, rendered] of good) {
    const result = parseIdentity(text);
    assert.deepEqual(result, { ok: true, value: identity }, text);
    assert.equal(renderIdentity(identity), rendered);
  }
});

test("what strongSwan would silently turn into a KEY_ID or a network is refused", () => {
  for (const text of [
    "",
    " ",
    "@",
    "@@",
    "@#",
    "@#abc",
    "moon sun",
    "10.1.0.0/16",
    "1.2.3",
    "1.2.3.4.5",
    "CN=",
    "XX=moon",
    "CN=moon,",
    "a=b",
    "*",
    "fqdn:moon",
    "email:a@b",
    "a@",
    "@@moon",
    "keyid:",
    "keyid:#1",
    'O="Example, CN=moon',
    'O=Ex"ample", CN=moon',
    "asn1dn:#",
    "asn1dn:#30",
    "asn1dn:#3003020100",
    `O="a,b"${", OU=units".repeat(19)}`,
    "asn1dn:#300e310c300a06035504031303612c6200",
  ]) {
    assert.equal(parseIdentity(text).ok, false, text);
  }
});

test("nothing that could end a quotation, a line or the identities of a secret is part of an identity", () => {
  for (const text of [
    'keyid:"x"',
    "keyid:a\\b",
    'CN="x',
    "CN=a\\",
    "CN=a\nb",
    "keyid:a : PSK b",
    "keyid:ü",
    "keyid:\u0000",
    `keyid:${"x".repeat(300)}`,
  ]) {
    assert.equal(parseIdentity(text).ok, false, JSON.stringify(text));
  }
});

test("whatever is accepted means the same when it is rendered and read again", () => {
  const text = fc.oneof(
    fc.constantFrom(...good.map(([one]) => one)),
    fc.string({ maxLength: 20 }),
    fc.string({ maxLength: 12 }).map((one) => `keyid:${one}`),
    fc.string({ maxLength: 12 }).map((one) => `CN=${one}`),
  );
  const readable = (identity: Identity): string => renderIdentity(identity).replace(/^email:/, "");
  fc.assert(
    fc.property(text, (one) => {
      const first = parseIdentity(one);
      if (!first.ok) return;
      assert.doesNotMatch(renderIdentity(first.value), /["\\\n\r]| : /);
      assert.deepEqual(parseIdentity(readable(first.value)), first);
    }),
    { numRuns: 2000 },
  );
});

test("an endpoint without an identity of its own is known by its address or name", () => {
  assert.deepEqual(identityOfEndpoint({ kind: "name", name: "vpn.example.com" }), {
    kind: "fqdn",
    text: "vpn.example.com",
  });
  assert.equal(identityOfEndpoint({ kind: "any" }), undefined);
});

test("the unspecified address is no identity: strongSwan would take it for any", () => {
  for (const text of ["0.0.0.0", "::", "0:0:0:0:0:0:0:0"]) assert.equal(parseIdentity(text).ok, false, text);
});
