import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { after, test } from "node:test";
import fc from "fast-check";
import { renderIdentity } from "../../../src/backend/strongswan-identity.ts";
import type { Problem } from "../../../src/failure.ts";
import { authoritiesOf } from "../../../src/ipsec/authentication.ts";
import { type ParsedSettings, parseSettings } from "../../../src/settings/parse-settings.ts";
import { environmentOf, minimal } from "../../support/environment-of.ts";
import { convertKey, createPki, type Issued, type KeyKind } from "../../support/pki.ts";

const pki = createPki();
after(() => pki[Symbol.dispose]());

const root = pki.root("/C=DE/O=Example/CN=root");
const moon = root.issue({
  subject: "/C=DE/O=Example/CN=moon",
  alternativeNames: "DNS:moon.example.org,email:moon@example.org,IP:192.0.2.1,IP:2001:db8::1",
});

const { IPSEC_PSK: _, ...withoutKey } = minimal;

const environment = (own: Issued, changes: Readonly<Record<string, string>> = {}) => ({
  ...withoutKey,
  IPSEC_AUTH: "pubkey",
  IPSEC_CERT: own.certificate,
  IPSEC_PRIVATE_KEY: own.privateKey,
  IPSEC_CA_CERT: root.certificate,
  IPSEC_REMOTEID: "C=DE, O=Example, CN=sun",
  ...changes,
});

const parse = (
  own: Issued,
  changes: Readonly<Record<string, string>> = {},
  now: Date = new Date(),
): ParsedSettings => parseSettings(environmentOf(environment(own, changes)), "gateway", undefined, { now });

const connectionOf = ({ settings, errors }: ParsedSettings) => {
  assert.deepEqual(errors, []);
  return settings?.connections[0] ?? assert.fail();
};

const told = (problems: readonly Problem[]) => problems.map(({ variable, message }) => [variable, message]);

/** One error, of these variables, whose message says this; whatever else is told holds no secret. */
const refuses = (parsed: ParsedSettings, variable: string, message: RegExp): void => {
  const [error, ...others] = parsed.errors;
  assert.deepEqual(told(others), []);
  assert.equal(error?.variable, variable);
  assert.match(error?.message ?? "", message);
  assert.ok((error?.hint ?? "").length > 10);
};

const ofKind = (kind: KeyKind): Issued => root.issue({ subject: `/CN=${kind}`, kind });

for (const kind of ["rsa", "ecdsa", "ed25519"] as const) {
  test(`a certificate with a key of ${kind} and its CA is all that is needed, without a warning`, () => {
    const own = ofKind(kind);
    const parsed = parse(own);
    assert.deepEqual(parsed.warnings, []);
    const { authentication } = connectionOf(parsed);
    assert.ok(authentication.method === "pubkey");
    assert.equal(authentication.certificate.pem, own.certificate);
    assert.equal(Buffer.from(authentication.privateKey.reveal()).toString(), own.privateKey);
  });
}

test("a private key may be PKCS#1, SEC1 or PKCS#8, encrypted or not, and becomes one without a passphrase", () => {
  const passphrase = "correct horse battery staple";
  const encrypted = ["-aes256", "-passout", `pass:${passphrase}`];
  for (const [kind, ...words] of [
    ["rsa", "-traditional"],
    ["ecdsa", "-traditional"],
    ["rsa", "-traditional", ...encrypted],
    ["ecdsa", "-traditional", ...encrypted],
    ["ed25519", ...encrypted],
    ["rsa", ...encrypted],
  ] as const) {
    const own = ofKind(kind);
    const given = convertKey(own.privateKey, ...words);
    assert.notEqual(given, own.privateKey);
    const withPassphrase = { IPSEC_PRIVATE_KEY: given, IPSEC_PRIVATE_KEY_PASSPHRASE: passphrase };
    const { authentication } = connectionOf(parse(own, withPassphrase));
    assert.ok(authentication.method === "pubkey");
    assert.equal(Buffer.from(authentication.privateKey.reveal()).toString(), own.privateKey);
    if (!words.includes("-aes256" as never)) continue;
    refuses(
      parse(own, { IPSEC_PRIVATE_KEY: given }),
      "IPSEC_PRIVATE_KEY, IPSEC_PRIVATE_KEY_PASSPHRASE",
      /is encrypted, and there is no passphrase/,
    );
    const wrong = parse(own, { ...withPassphrase, IPSEC_PRIVATE_KEY_PASSPHRASE: "cAnArYpassphrase" });
    refuses(
      wrong,
      "IPSEC_PRIVATE_KEY, IPSEC_PRIVATE_KEY_PASSPHRASE",
      /the passphrase is not that of this key/,
    );
    assert.doesNotMatch(JSON.stringify(wrong), /cAnArY/);
  }
});

test("a key that is not that of the certificate is refused, and nothing that is said of it shows any of it", () => {
  const other = ofKind("ecdsa");
  const parsed = parse(moon, { IPSEC_PRIVATE_KEY: other.privateKey });
  refuses(
    parsed,
    "IPSEC_PRIVATE_KEY, IPSEC_CERT",
    /is not that of the certificate "C=DE, O=Example, CN=moon"/,
  );
  for (const broken of [
    other.privateKey.replace(/\n\w{20}/, "\n"),
    `${other.privateKey}\n${other.privateKey}`,
    other.privateKey.replaceAll("-----", ""),
  ]) {
    const { errors } = parse(moon, { IPSEC_PRIVATE_KEY: broken });
    assert.ok(errors.length > 0);
    for (const line of other.privateKey.split("\n").filter((one) => one.length > 20 && !one.startsWith("-")))
      assert.ok(!JSON.stringify(errors).includes(line.slice(0, 16)), JSON.stringify(errors));
  }
});

test("where the certificate of the key comes later in the file, the order is what is wrong", () => {
  const chain = { IPSEC_CERT: root.certificate + moon.certificate };
  const { errors } = parse(moon, chain);
  assert.ok(errors.some(({ hint }) => /put the certificate of this gateway first/.test(hint ?? "")));
});

test("what is needed is asked for at once", () => {
  const { errors } = parseSettings(environmentOf({ ...withoutKey, IPSEC_AUTH: "pubkey" }), "gateway");
  assert.deepEqual(
    errors.map(({ variable }) => variable),
    [
      "IPSEC_CERT, IPSEC_AUTH",
      "IPSEC_PRIVATE_KEY, IPSEC_AUTH",
      "IPSEC_CA_CERT, IPSEC_REMOTE_CERT, IPSEC_AUTH",
    ],
  );
});

test("what the other way to authenticate needs is said to have no effect", () => {
  const withPsk = parse(moon, { IPSEC_PSK: minimal.IPSEC_PSK });
  assert.deepEqual(
    withPsk.warnings.map(({ variable }) => variable),
    ["IPSEC_PSK, IPSEC_AUTH"],
  );
  const { warnings } = parseSettings(
    environmentOf({ ...minimal, IPSEC_CERT: moon.certificate, IPSEC_PRIVATE_KEY: moon.privateKey }),
    "gateway",
  );
  assert.deepEqual(
    warnings.map(({ variable }) => variable),
    ["IPSEC_CERT, IPSEC_AUTH", "IPSEC_PRIVATE_KEY, IPSEC_AUTH"],
  );
});

test("a certificate that has expired, or is not valid yet, is refused; one that will expire soon warns", () => {
  const inDays = (days: number) => new Date(Date.now() + days * 86_400_000);
  for (const [days, message] of [
    [400, /has expired on \d{4}-\d\d-\d\d$/],
    [-1, /is not valid before \d{4}-\d\d-\d\d$/],
  ] as const) {
    const { errors } = parse(moon, {}, inDays(days));
    assert.deepEqual(
      errors.map(({ variable }) => variable),
      ["IPSEC_CERT", "IPSEC_CA_CERT"],
    );
    for (const error of errors) assert.match(error.message, message);
  }
  const soon = parse(moon, {}, inDays(340));
  assert.deepEqual(soon.errors, []);
  assert.match(soon.warnings[0]?.message ?? "", /expires in 2[45] days, on/);
});

test("a CA that is not valid now only warns beside a root that is, unless both are one root", () => {
  const hours = (from: number, until: number) => ({
    from: new Date(Date.now() + from * 3_600_000),
    until: new Date(Date.now() + until * 3_600_000),
  });
  const swanctl = (...pems: readonly string[]) => ({
    IPSEC_BACKEND: "swanctl",
    IPSEC_CA_CERT: pems.join(""),
  });
  const subject = "/C=DE/O=Example/CN=root";
  for (const [valid, message] of [
    [hours(-48, -24), /^IPSEC_CA_CERT: the certificate "C.*" has expired on /],
    [hours(24, 48), /^IPSEC_CA_CERT: the certificate "C.*" is not valid before /],
  ] as const) {
    const other = pki.root("/CN=other", "ecdsa", valid);
    const below = root.issue({ subject: "/CN=below", isAuthority: true, valid });
    for (const { certificate } of [other, below]) {
      const { errors, warnings } = parse(moon, swanctl(root.certificate, certificate));
      assert.deepEqual(errors, []);
      assert.match(warnings[0]?.message ?? "", message);
      assert.match(warnings[0]?.hint ?? "", /^leave it out/);
    }
    refuses(parse(moon, swanctl(other.certificate)), "IPSEC_CA_CERT", message);
    const { privateKey } = root;
    const former = pki.root(subject, "ecdsa", valid, privateKey);
    refuses(parse(moon, swanctl(root.certificate, former.certificate)), "IPSEC_CA_CERT", message);
    const own = root.issue({ subject: "/CN=own", valid });
    refuses(parse(own, swanctl(root.certificate)), "IPSEC_CERT", /./);
  }
});

test("the identity is the subject, as the certificate encodes it, where none is given", () => {
  const { IPSEC_LOCALID: identity } = connectionOf(parse(moon, { IPSEC_LOCALIP: "%any" }));
  assert.ok(identity.kind === "dn");
  assert.equal(identity.text, "C=DE, O=Example, CN=moon");
  // openssl writes all but the country as UTF8String (tag 0c), where strongSwan's own text would be PrintableString.
  assert.match(identity.encoded ?? "", /0c074578616d706c65/);
});

test("an identity is the subject or an alternative name, in whichever case it is written", () => {
  for (const [text, expected] of [
    ["moon.example.org", { kind: "fqdn", text: "moon.example.org" }],
    ["MOON@example.org", { kind: "email", text: "moon@example.org" }],
    ["192.0.2.1", { kind: "ipv4", text: "192.0.2.1" }],
    ["2001:db8:0::1", { kind: "ipv6", text: "2001:db8::1" }],
  ] as const) {
    assert.deepEqual(connectionOf(parse(moon, { IPSEC_LOCALID: text })).IPSEC_LOCALID, expected);
  }
  const subject = connectionOf(parse(moon)).IPSEC_LOCALID;
  for (const text of ["C=DE, O=Example, CN=moon", "/C=de/O=Example/CN=Moon", 'C=DE, O="Example", CN=moon'])
    assert.deepEqual(connectionOf(parse(moon, { IPSEC_LOCALID: text })).IPSEC_LOCALID, subject);
  for (const text of ["mars.example.org", "CN=moon", "moon@example.com"])
    refuses(
      parse(moon, { IPSEC_LOCALID: text }),
      "IPSEC_LOCALID, IPSEC_CERT",
      /is not in the certificate of IPSEC_CERT, which has "C=DE, O=Example, CN=moon", "moon.example.org", /,
    );
});

test("a key identifier is not looked for in a certificate, not even the one that strongSwan would find there", () => {
  const der = new X509Certificate(moon.certificate).raw.toString("hex");
  // subjectKeyIdentifier (RFC 5280 §4.2.1.2): an octet string of 20 bytes in another.
  const identifier = /0603551d0e04160414([0-9a-f]{40})/.exec(der)?.[1] ?? assert.fail();
  for (const text of ["keyid:moon", `@#${identifier}`])
    refuses(
      parse(moon, { IPSEC_LOCALID: text }),
      "IPSEC_LOCALID, IPSEC_CERT",
      /is a key identifier, which is not looked for in the certificate of IPSEC_CERT, which has "C=DE, /,
    );
});

test("a subject that text cannot tell strongSwan is told by its bytes", () => {
  const own = root.issue({ subject: "/O=Example, Ltd./CN=Mönd" });
  const { IPSEC_LOCALID: identity } = connectionOf(parse(own));
  assert.ok(identity.kind === "dn");
  assert.equal(identity.text, 'O="Example, Ltd.", CN=Mönd');
  assert.ok(identity.encoded?.includes(Buffer.from("Example, Ltd.").toString("hex")));
});

test("a subject is known by its text as people and openssl write it, and by its bytes, whatever attributes it has", () => {
  const own = root.issue({ subject: "/O=Müller/CN=moon" });
  const subject = connectionOf(parse(own)).IPSEC_LOCALID;
  for (const text of ["O=Müller, CN=moon", "O=M\\C3\\BCller, CN=moon", '/O="müller"/CN=moon'])
    assert.deepEqual(connectionOf(parse(own, { IPSEC_LOCALID: text })).IPSEC_LOCALID, subject);
  const company = root.issue({ subject: "/businessCategory=Private/O=Example" });
  const named = connectionOf(parse(company)).IPSEC_LOCALID;
  const bytes = renderIdentity(named);
  assert.match(bytes, /^asn1dn:#.*55040f/);
  assert.deepEqual(connectionOf(parse(company, { IPSEC_LOCALID: bytes })).IPSEC_LOCALID, named);
  const pinned = { IPSEC_CA_CERT: "", IPSEC_REMOTE_CERT: company.certificate, IPSEC_REMOTEID: bytes };
  assert.deepEqual(connectionOf(parse(moon, pinned)).IPSEC_REMOTEID, named);
  refuses(
    parse(company, { IPSEC_LOCALID: bytes.replace("50726976617465", "5075626c696363") }),
    "IPSEC_LOCALID, IPSEC_CERT",
    /is not in the certificate/,
  );
});

test("the names that a refusal offers are accepted where they are taken", () => {
  for (const subject of [
    "/businessCategory=Private/O=Example",
    "/O=Example, Ltd./CN=Mönd",
    "/O=x\u0007y/CN=moon",
    `/businessCategory=Private${"/OU=unit".repeat(10)}`,
    `${"/OU=unit".repeat(10)}/CN=moon`,
  ]) {
    const own = root.issue({ subject, alternativeNames: "DNS:moon.example.org" });
    const [error] = parse(own, { IPSEC_LOCALID: "mars" }).errors;
    const offered = /which has ("(?:[^"\\]|\\.)*"|asn1dn:#[0-9a-f]+), "moon.example.org"$/.exec(
      error?.message ?? "",
    )?.[1];
    const text = offered?.startsWith('"') ? JSON.parse(offered) : offered;
    assert.deepEqual(
      connectionOf(parse(own, { IPSEC_LOCALID: text })).IPSEC_LOCALID,
      connectionOf(parse(own)).IPSEC_LOCALID,
    );
  }
});

test("a subject too long for vici is refused with swanctl, unless a shorter name is taken", () => {
  const units = [60, 61, 62].map((length) => `/OU=${"ü".repeat(length)}`).join("");
  const own = root.issue({ subject: `${units}/CN=moon`, alternativeNames: "DNS:moon.example.org" });
  assert.match(renderIdentity(connectionOf(parse(own)).IPSEC_LOCALID), /^asn1dn:#/);
  const swanctl = { IPSEC_BACKEND: "swanctl" };
  refuses(parse(own, swanctl), "IPSEC_LOCALID, IPSEC_CERT, IPSEC_BACKEND", /longer than the 251 bytes/);
  connectionOf(parse(own, { ...swanctl, IPSEC_LOCALID: "moon.example.org" }));
  const pinned = { ...swanctl, IPSEC_CA_CERT: "", IPSEC_REMOTE_CERT: own.certificate, IPSEC_REMOTEID: "" };
  refuses(
    parse(moon, pinned),
    "IPSEC_REMOTEID, IPSEC_REMOTE_CERT, IPSEC_BACKEND",
    /longer than the 251 bytes/,
  );
  const long = [60, 61].map((length) => `/OU=${"x".repeat(length)}`).join("");
  const readable = root.issue({ subject: `${long}${long}/CN=moon` });
  assert.match(renderIdentity(connectionOf(parse(readable, swanctl)).IPSEC_LOCALID), /^OU=x{60}, /);
});

test("a wildcard in our own certificate is that of the certificate, not of a variable that nobody set", () => {
  const own = root.issue({ subject: "/CN=*.example.org", alternativeNames: "DNS:moon.example.org" });
  refuses(
    parse(own),
    "IPSEC_CERT",
    /^IPSEC_CERT: the name "CN=\*\.example\.org" of the certificate has a wildcard/,
  );
  refuses(parse(own, { IPSEC_LOCALID: "CN=*.example.org" }), "IPSEC_LOCALID", /^IPSEC_LOCALID="CN=/);
  refuses(parse(own, { IPSEC_LOCALID: "*.example.org" }), "IPSEC_LOCALID", /^IPSEC_LOCALID="\*/);
  connectionOf(parse(own, { IPSEC_LOCALID: "moon.example.org" }));
});

test("an identity is shown without its control characters where it is refused", () => {
  const { errors } = parse(moon, { IPSEC_LOCALID: "asn1dn:#300f310d300b06035504030c04610a1b62" });
  assert.match(errors[0]?.message ?? "", /^IPSEC_LOCALID="CN=\P{Cc}+ is not in the certificate \P{Cc}+$/u);
});

test("a certificate without a subject is known by its first alternative name, and one that names nobody is refused", () => {
  const named = root.issue({ subject: "", alternativeNames: "DNS:nobody.example.org" });
  assert.deepEqual(connectionOf(parse(named)).IPSEC_LOCALID, { kind: "fqdn", text: "nobody.example.org" });
  refuses(parse(root.issue({ subject: "" })), "IPSEC_LOCALID, IPSEC_CERT", /names nobody/);
});

test("intermediate certificates follow the own one; a chain with a gap warns of whom the peer must know", () => {
  const middle = root.authority({ subject: "/CN=middle" });
  const own = middle.issue({ subject: "/CN=leaf" });
  const { warnings } = parse(own);
  assert.match(warnings[0]?.message ?? "", /who signed "CN=leaf" is not given/);
  // A root at its end, which some tools add, is no intermediate.
  const complete = parse(own, { IPSEC_CERT: own.certificate + middle.certificate + root.certificate });
  assert.deepEqual(complete.warnings, []);
  const { authentication } = connectionOf(complete);
  assert.ok(authentication.method === "pubkey");
  assert.deepEqual(
    authentication.intermediates.map(({ subject }) => subject.text),
    ["CN=middle"],
  );
  refuses(
    parse(own, { IPSEC_CERT: own.certificate + middle.certificate + moon.certificate }),
    "IPSEC_CERT",
    /"C=DE, O=Example, CN=moon" after the first is not that of a CA/,
  );
});

test("the certificate of a trusted root that another CA has signed is left out", () => {
  const other = pki.root("/CN=other");
  const { privateKey } = root;
  const { certificate: crossSigned } = other.issue({
    subject: "/C=DE/O=Example/CN=root",
    privateKey,
    isAuthority: true,
  });
  const own = { ...moon, certificate: moon.certificate + crossSigned };
  for (const changes of [{}, { IPSEC_CA_CERT: root.certificate + crossSigned }] as const) {
    const parsed = parse(own, changes);
    assert.deepEqual(parsed.warnings, []);
    const { authentication } = connectionOf(parsed);
    assert.ok(authentication.method === "pubkey");
    assert.deepEqual(
      authoritiesOf(authentication).map(({ pem }) => pem),
      [root.certificate],
    );
  }
  // To whom trusts the other root, it is an intermediate as any.
  const { authentication } = connectionOf(parse(own, { IPSEC_CA_CERT: other.certificate }));
  assert.ok(authentication.method === "pubkey");
  assert.deepEqual(
    authentication.intermediates.map(({ pem }) => pem),
    [crossSigned],
  );
});

test("a CA may sign, and one of them signs itself; ipsec.conf takes one such", () => {
  const middle = root.authority({ subject: "/CN=middle" });
  refuses(parse(moon, { IPSEC_CA_CERT: moon.certificate }), "IPSEC_CA_CERT", /is not a CA/);
  refuses(
    parse(middle.issue({ subject: "/CN=x" }), { IPSEC_CA_CERT: middle.certificate }),
    "IPSEC_CA_CERT",
    /holds no root/,
  );
  const two = root.certificate + pki.root("/CN=other").certificate;
  refuses(parse(moon, { IPSEC_CA_CERT: two }), "IPSEC_CA_CERT, IPSEC_BACKEND", /holds 2 roots/);
  assert.deepEqual(parse(moon, { IPSEC_CA_CERT: two, IPSEC_BACKEND: "swanctl" }).errors, []);
});

test("the peer's certificate takes the place of its CA and gives its identity", () => {
  const sun = root.issue({ subject: "/C=DE/CN=sun", alternativeNames: "DNS:sun.example.org" });
  const pinned = {
    IPSEC_CA_CERT: "",
    IPSEC_REMOTE_CERT: sun.certificate,
    IPSEC_REMOTEIP: "%any",
    IPSEC_REMOTEID: "",
  };
  const { IPSEC_REMOTEID: identity, authentication } = connectionOf(parse(moon, pinned));
  assert.equal(identity.kind === "dn" && identity.text, "C=DE, CN=sun");
  assert.ok(authentication.method === "pubkey" && authentication.trust.kind === "certificate");
  refuses(
    parse(moon, { ...pinned, IPSEC_REMOTEID: "mars" }),
    "IPSEC_REMOTEID, IPSEC_REMOTE_CERT",
    /is not in the certificate/,
  );
  for (const pattern of ["*.example.org", "*.EXAMPLE.org", "C=*, CN=sun", "C=DE, CN=*"])
    assert.deepEqual(parse(moon, { ...pinned, IPSEC_REMOTEID: pattern }).errors, []);
  for (const pattern of [
    "*.other.org",
    "*@example.org",
    "C=DE, CN=*n",
    "CN=*",
    "C=*, CN=moon",
    "C=DE, CN=sun, O=*",
  ])
    refuses(
      parse(moon, { ...pinned, IPSEC_REMOTEID: pattern }),
      "IPSEC_REMOTEID, IPSEC_REMOTE_CERT",
      /is not in the certificate/,
    );
  refuses(
    parse(moon, { ...pinned, IPSEC_CA_CERT: root.certificate }),
    "IPSEC_CA_CERT, IPSEC_REMOTE_CERT",
    /are both set/,
  );
  refuses(
    parse(moon, { ...pinned, IPSEC_REMOTE_CERT: sun.certificate + moon.certificate }),
    "IPSEC_REMOTE_CERT",
    /several certificates/,
  );
});

test("of the peer's certificate one identity is meant, and not any", () => {
  const sun = root.issue({ subject: "/C=DE/CN=sun", alternativeNames: "DNS:sun.example.org" });
  const pinned = { IPSEC_CA_CERT: "", IPSEC_REMOTE_CERT: sun.certificate, IPSEC_REMOTEID: "%any" };
  for (const backend of ["stroke", "swanctl"]) {
    const parsed = parse(moon, { ...pinned, IPSEC_BACKEND: backend });
    refuses(
      parsed,
      "IPSEC_REMOTEID, IPSEC_REMOTE_CERT",
      /^IPSEC_REMOTEID="%any" chooses no identity in the certificate of IPSEC_REMOTE_CERT, which has "C=DE, CN=sun", "sun.example.org"$/,
    );
    assert.equal(parsed.errors[0]?.hint, "take one of these, or leave IPSEC_REMOTEID out for the first");
  }
});

test("a peer whose identity is not said must have its address in its certificate, of which there is a warning", () => {
  const { warnings } = parse(moon, { IPSEC_REMOTEID: "" });
  assert.deepEqual(
    warnings.map(({ variable }) => variable),
    ["IPSEC_REMOTEID, IPSEC_REMOTEIP"],
  );
  assert.deepEqual(parse(moon, { IPSEC_REMOTEID: "192.0.2.2" }).warnings, []);
});

test("keys and signatures that RFC 8247 calls weak warn", () => {
  const short = parse(root.issue({ subject: "/CN=short", kind: "rsa1024" }));
  assert.match(short.warnings[0]?.message ?? "", /has an RSA key of 1024 bits, which is too weak/);
  const old = parse(root.issue({ subject: "/CN=old", digest: "sha1" }));
  assert.match(old.warnings[0]?.message ?? "", /is signed over SHA-1/);
});

test("a certificate whose key may not sign is refused at either end", () => {
  const { certificate, privateKey } = root.authority({ subject: "/CN=ca" });
  refuses(parse({ certificate, privateKey }), "IPSEC_CERT", /"CN=ca" is not for signatures/);
  refuses(
    parse(moon, { IPSEC_CA_CERT: "", IPSEC_REMOTEID: "", IPSEC_REMOTE_CERT: certificate }),
    "IPSEC_REMOTE_CERT",
    /"CN=ca" is not for signatures/,
  );
});

test("an Edwards curve needs IKEv2", () => {
  refuses(
    parse(ofKind("ed25519"), { IPSEC_KEYEXCHANGE: "ikev1" }),
    "IPSEC_PRIVATE_KEY, IPSEC_KEYEXCHANGE",
    /IKEv1 knows no Ed25519 signatures/,
  );
  refuses(
    parse(moon, {
      IPSEC_CA_CERT: "",
      IPSEC_REMOTEID: "",
      IPSEC_REMOTE_CERT: ofKind("ed25519").certificate,
      IPSEC_KEYEXCHANGE: "ikev1",
    }),
    "IPSEC_REMOTE_CERT, IPSEC_KEYEXCHANGE",
    /IKEv1 knows no Ed25519 signatures/,
  );
});

test("a certificate that signs itself, for signatures alone, needs no CA", () => {
  const usage = ["-addext", "keyUsage=digitalSignature", "-addext", "basicConstraints=CA:FALSE"];
  const words = [
    "req",
    "-x509",
    "-newkey",
    "ed25519",
    "-days",
    "365",
    "-noenc",
    "-keyout",
    "-",
    "-subj",
    "/CN=alone",
    ...usage,
  ];
  const [privateKey = "", certificate = ""] = execFileSync("openssl", words, {
    encoding: "utf8",
    stdio: "pipe",
  }).split(/(?=-----BEGIN CERTIFICATE)/);
  assert.deepEqual(parse({ certificate, privateKey }).warnings, []);
});

test("a chain in the wrong order is told as that alone", () => {
  const { certificate, privateKey } = moon;
  const { errors } = parse(moon, { IPSEC_CERT: root.certificate + certificate });
  assert.deepEqual(
    errors.map(({ hint }) => hint),
    [
      "put the certificate of this gateway first, those of its CAs after it",
      "only the first is this gateway's own; intermediate CAs follow",
    ],
  );
  assert.deepEqual(parse({ certificate: certificate + root.certificate, privateKey }).errors, []);
});

test("what came from a file is told with the file", () => {
  const given = new Map([...environmentOf(environment(moon))]);
  given.set("IPSEC_CERT", { text: "", source: "/run/cert.der", bytes: Buffer.from([0x30, 0x82]) });
  const [error] = parseSettings(given, "gateway").errors;
  assert.match(error?.message ?? "", /^IPSEC_CERT_FILE="\/run\/cert\.der": is not PEM but, it seems, DER$/);
  assert.match(
    error?.hint ?? "",
    /^openssl x509 -inform der .*; a PKCS#12 file is taken apart by: openssl pkcs12/,
  );
});

test("certificates that are none, have a key with them, or are too many are told by what they are", () => {
  for (const [text, message] of [
    ["nonsense", /holds no certificate in PEM/],
    [moon.certificate.slice(0, -30), /without its end/],
    [moon.certificate + moon.privateKey, /holds a private key/],
    [moon.certificate.replace(/\n\w{20}/, "\n"), /its certificate 1 of 1 cannot be read/],
    [moon.certificate.repeat(21), /holds 21 certificates/],
  ] as const) {
    const { errors } = parse(moon, { IPSEC_CERT: text });
    assert.deepEqual(
      errors.map(({ variable }) => variable),
      ["IPSEC_CERT"],
    );
    assert.match(errors[0]?.message ?? "", message);
    assert.doesNotMatch(JSON.stringify(errors), /MI[A-Za-z0-9+/]{20}/);
  }
});

test("whatever a certificate calls itself, no file and no message has it as it is", () => {
  const evil = `x"\n: PSK "y\u0007${"z".repeat(40)}`;
  const subject = `/O=${"o".repeat(60)}/OU=${"u".repeat(60)}/OU=${"v".repeat(60)}/CN=${evil}`;
  const own = root.issue({ subject, alternativeNames: "DNS:*.example.org,DNS:a.example.org" });
  const parsed = parse(own, { IPSEC_CA_CERT: pki.root("/CN=other").certificate });
  const identity = connectionOf(parsed).IPSEC_LOCALID;
  assert.match(renderIdentity(identity), /^asn1dn:#[0-9a-f]+$/);
  const { errors } = parse(own, { IPSEC_LOCALID: "mars" });
  for (const { message } of [...errors, ...parsed.warnings]) assert.match(message, /^\P{Cc}+$/u);
  assert.equal(errors.length, 1);
  assert.doesNotMatch(errors[0]?.message ?? "", /\*/);
});

test("a certificate with any byte changed is accepted or refused in words", () => {
  const der = Buffer.from(moon.certificate.replace(/-.*-|\n/g, ""), "base64");
  fc.assert(
    fc.property(fc.nat(der.length - 1), fc.integer({ min: 0, max: 255 }), fc.nat(40), (at, byte, cut) => {
      const changed = Buffer.from(der.subarray(0, der.length - (cut > 30 ? cut - 30 : 0)));
      if (at < changed.length) changed[at] = byte;
      const text = `-----BEGIN CERTIFICATE-----\n${changed.toString("base64")}\n-----END CERTIFICATE-----\n`;
      for (const name of ["IPSEC_CERT", "IPSEC_CA_CERT"])
        for (const { message } of parse(moon, { [name]: text }).errors) assert.match(message, /^\P{Cc}+$/u);
    }),
    { numRuns: 500 },
  );
});

test("a file is named where it is wrong", () => {
  const given = environmentOf(environment(moon));
  const fromFile = new Map([
    ...given,
    ["IPSEC_CERT", { text: "", source: "/etc/moon.pem", bytes: Buffer.from(ofKind("rsa").certificate) }],
  ]);
  const { errors } = parseSettings(fromFile, "gateway");
  assert.match(errors[0]?.message ?? "", /in IPSEC_CERT_FILE="\/etc\/moon\.pem"$/);
});
