import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { renderIdentity } from "../../../src/backend/strongswan-identity.ts";
import { type Identity, identityOfEndpoint, parseIdentity } from "../../../src/ipsec/identity.ts";

/** A name that strongSwan is given as its bytes. */
const byItsBytes = (text: string, name: string, encoded: string): readonly [string, Identity, string] => [
  text,
  { kind: "dn", text: name, encoded },
  `asn1dn:#${encoded}`,
];

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
  byItsBytes(
    'C=DE, O="Example, Ltd.", CN=moon',
    'C=DE, O="Example, Ltd.", CN=moon',
    "3034310b300906035504061302444531163014060355040a130d4578616d706c652c204c74642e310d300b060355040313046d6f6f6e",
  ),
  byItsBytes("CN=a\\,b", 'CN="a,b"', "300e310c300a06035504031303612c62"),
  byItsBytes("asn1dn:#300E310C300A06035504030C034D2A6F", "CN=M*o", "300e310c300a06035504030c034d2a6f"),
  byItsBytes(
    "C=DE, O=Müller, CN=*",
    "C=DE, O=Müller, CN=*",
    "302b310b30090603550406130244453110300e060355040a0c074dc3bc6c6c6572310a300806035504030c012a",
  ),
  byItsBytes("O=M\\C3\\bCller", "O=Müller", "30123110300e060355040a0c074dc3bc6c6c6572"),
  byItsBytes('/O="M\\C3\\BCller"', "O=Müller", "30123110300e060355040a0c074dc3bc6c6c6572"),
  byItsBytes("O=\\\\C3", 'O="\\\\C3"', "300e310c300a060355040a0c035c4333"),
  byItsBytes("CN=a\\0A\\1Bb", 'CN="a\\0A\\1Bb"', "300f310d300b06035504030c04610a1b62"),
  byItsBytes('OU="x + CN=y"', 'OU="x + CN=y"', "30133111300f060355040b130878202b20434e3d79"),
  ["O=A+B, OU=C++", { kind: "dn", text: "O=A+B, OU=C++" }, "O=A+B, OU=C++"],
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
    "O=M\\C3ller",
    "O=M\\xller",
    "O=a\\FFb",
    "O=a\ufffdb",
    "O=a\u202eb",
    "OU=x + CN=sun",
    "/OU=x+CN=sun",
    'OU="x"+CN="sun"',
    `O=ü${"x".repeat(251)}`,
    `CN=${"x".repeat(253)}`,
    `asn1dn:#30${"00".repeat(251)}`,
    "ND=ü",
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

test("a refused name is told by what is wrong with it, and never by the way of a KEY_ID", () => {
  for (const [text, message, hint] of [
    ["C=DE, OU=x + CN=sun", /"OU=x \+ CN=sun" is several attributes joined by a plus/, /asn1dn:#…/],
    ["CN=a\nb", /cannot be printed/, /\\C3\\BC/],
    ["O=M\\C3ller", /"O=M\\\\C3ller" is not an attribute/, /attributes such as/],
  ] as const) {
    const result = parseIdentity(text);
    assert.ok(!result.ok);
    assert.match(result.problem.message, message);
    assert.match(result.problem.hint ?? "", hint);
  }
});

test("a name means the same whether its characters are written as they are or as their bytes", () => {
  const value = fc.string({ unit: "binary", minLength: 1, maxLength: 12 });
  fc.assert(
    fc.property(value, (one) => {
      const pairs = Buffer.from(one).toString("hex").replace(/../g, "\\$&");
      const escaped = parseIdentity(`O="${pairs}"`);
      assert.ok(escaped.ok && escaped.value.kind === "dn");
      assert.match(escaped.value.text, /^[^\p{C}]+$/u);
      assert.ok(escaped.value.encoded?.endsWith(Buffer.from(one).toString("hex")));
      assert.deepEqual(parseIdentity(escaped.value.text).ok, true);
      const again = parseIdentity(renderIdentity(escaped.value));
      assert.deepEqual(again, escaped);
    }),
  );
});
