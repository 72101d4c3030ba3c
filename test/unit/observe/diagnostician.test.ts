import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import { parseCharonLine } from "../../../src/observe/charon-line.ts";
import { createDiagnostician, type Diagnostician, type Finding } from "../../../src/observe/diagnostician.ts";

const observe = (diagnostician: Diagnostician, ...texts: readonly string[]): readonly Finding[] =>
  texts.flatMap((text) => diagnostician.observe(parseCharonLine(text)) ?? []);

const causesOf = (findings: readonly Finding[]): readonly string[] => findings.map(({ cause }) => cause);

const tell = (...texts: readonly string[]): readonly string[] =>
  causesOf(observe(createDiagnostician(), ...texts));

const initiating = (connection: string, id = 1): string =>
  `08[IKE0] <${connection}|${id}> initiating IKE_SA ${connection}[${id}] to 192.0.2.2`;
const retransmit = (count: number): string =>
  `13[IKE1] <site|1> retransmit ${count} of request with message ID 0`;
const received = "15[NET1] <site|1> received packet: from 192.0.2.2[500] to 192.0.2.1[500] (36 bytes)";
const rejected = "16[IKE1] <site|1> received AUTHENTICATION_FAILED notify error";
const ikeUp = "16[IKE0] <site|1> IKE_SA site[1] established between 192.0.2.1[moon]...192.0.2.2[sun]";
const childUp =
  "16[IKE0] <site|1> CHILD_SA site{1} established with SPIs a_i b_o and TS 10.1.0.0/24 === 10.2.0.0/24";
const networks = "15[IKE1] <site|1> received TS_UNACCEPTABLE notify, no CHILD_SA built";

test("one or two retransmissions are no failure, the third is, and only it", () => {
  assert.deepEqual(tell(initiating("site"), retransmit(1), retransmit(2)), []);
  const lines = [1, 2, 3, 4, 5].map(retransmit);
  assert.deepEqual(tell(initiating("site"), ...lines, initiating("site"), ...lines), ["peer-silent"]);
});

test("giving up tells which message stayed unanswered", () => {
  const lines = [
    initiating("site"),
    received,
    "13[IKE1] <site|1> retransmit 1 of request with message ID 1",
    "13[IKE1] <site|1> giving up after 1 retransmits",
  ];
  const [finding] = observe(createDiagnostician(), ...lines);
  assert.equal(finding?.cause, "peer-silent");
  assert.match(finding.meaning, /answered the first message/);
});

test("an answer of the peer ends its silence, and the next silence is told again", () => {
  const diagnostician = createDiagnostician();
  assert.deepEqual(causesOf(observe(diagnostician, retransmit(3))), ["peer-silent"]);
  assert.deepEqual(causesOf(observe(diagnostician, received)), []);
  assert.deepEqual(diagnostician.active(), []);
  assert.deepEqual(causesOf(observe(diagnostician, retransmit(3))), ["peer-silent"]);
});

test("the same failure of attempt after attempt is told once, and again after a success", () => {
  const diagnostician = createDiagnostician();
  const attempt = [initiating("site"), received, rejected];
  assert.deepEqual(causesOf(observe(diagnostician, ...attempt, ...attempt)), ["authentication-failed"]);
  assert.deepEqual(causesOf(observe(diagnostician, initiating("site"), ikeUp)), []);
  assert.deepEqual(diagnostician.active(), []);
  assert.deepEqual(causesOf(observe(diagnostician, ...attempt)), ["authentication-failed"]);
});

test("another cause takes the place of the one before", () => {
  const diagnostician = createDiagnostician();
  const findings = observe(diagnostician, initiating("site"), rejected, initiating("site"), retransmit(3));
  assert.deepEqual(causesOf(findings), ["authentication-failed", "peer-silent"]);
  assert.deepEqual(causesOf(diagnostician.active()), ["peer-silent"]);
});

test("what is vague about the variable that is known to be wrong takes the place of nothing", () => {
  const diagnostician = createDiagnostician();
  const attempt = "12[IKE0] <site|1> initiating Main Mode IKE_SA site[1] to 192.0.2.2";
  const garbage = "15[ENC1] <site|1> invalid HASH_V1 payload length, decryption failed?";
  const silent = "08[IKE1] <site|1> sending retransmit 3 of request message ID 0, seq 3";
  const findings = observe(diagnostician, attempt, garbage, attempt, silent, garbage, attempt, silent);
  assert.deepEqual(causesOf(findings), ["psk-mismatch"]);
  // Nobody answers the first message: that is another matter than the key.
  const unanswered = "08[IKE1] <site|1> sending retransmit 3 of request message ID 0, seq 1";
  assert.deepEqual(causesOf(observe(diagnostician, attempt, unanswered)), ["peer-silent"]);
});

test("an attempt that began before the one that succeeded tells nothing any more, a later one does", () => {
  const diagnostician = createDiagnostician();
  const garbage = (saId: number) =>
    `15[ENC1] <site|${saId}> invalid HASH_V1 payload length, decryption failed?`;
  observe(diagnostician, "12[IKE0] <site|1> initiating Main Mode IKE_SA site[1] to 192.0.2.2", garbage(1));
  observe(
    diagnostician,
    "12[IKE0] <site|2> IKE_SA site[2] established between 192.0.2.1[moon]...192.0.2.2[sun]",
    "12[IKE0] <site|2> CHILD_SA site{1} established with SPIs c1_i c2_o and TS 10.1.0.0/24 === 10.2.0.0/24",
  );
  assert.deepEqual(observe(diagnostician, garbage(1)), []);
  assert.deepEqual(diagnostician.active(), []);
  assert.deepEqual(causesOf(observe(diagnostician, garbage(3))), ["psk-mismatch"]);
  observe(diagnostician, "00[DMN1] Starting IKE charon daemon (strongSwan 5.9.8, Linux 6.1.0, x86_64)");
  assert.deepEqual(causesOf(observe(diagnostician, garbage(1))), ["psk-mismatch"]);
});

test("an IKE SA does not mend a tunnel, a CHILD SA does", () => {
  const diagnostician = createDiagnostician();
  observe(diagnostician, initiating("site"), ikeUp, networks, initiating("site"), ikeUp);
  assert.deepEqual(causesOf(diagnostician.active()), ["traffic-selector-mismatch"]);
  observe(diagnostician, childUp);
  assert.deepEqual(diagnostician.active(), []);
});

test("connections fail and mend apart", () => {
  const diagnostician = createDiagnostician();
  const other = "16[IKE1] <other|2> received AUTHENTICATION_FAILED notify error";
  observe(diagnostician, initiating("site"), initiating("other", 2), rejected, other, ikeUp);
  assert.deepEqual(
    diagnostician.active().map(({ connection, cause }) => [connection, cause]),
    [["other", "authentication-failed"]],
  );
});

test("a peer that failed without a connection is mended by the connection that it gets", () => {
  const diagnostician = createDiagnostician();
  const [finding] = observe(
    diagnostician,
    "11[NET1] <1> received packet: from 192.0.2.9[500] to 192.0.2.2[500] (464 bytes)",
    "11[IKE0] <1> 192.0.2.9 is initiating an IKE_SA",
    "16[CFG1] <1> looking for peer configs matching 192.0.2.2[%any]...192.0.2.9[a]...1[b]]",
    "16[CFG1] <1> no matching peer config found",
  );
  assert.deepEqual([finding?.connection, finding?.peer, finding?.saId], [undefined, "192.0.2.9", 1]);
  observe(
    diagnostician,
    "11[NET1] <2> received packet: from 192.0.2.9[500] to 192.0.2.2[500] (464 bytes)",
    "12[IKE0] <site|2> IKE_SA site[2] established between 192.0.2.2[sun]...192.0.2.9[moon]",
  );
  assert.deepEqual(diagnostician.active(), []);
});

test("a constraint that fails is a failure only when no other configuration suits", () => {
  const failed = "16[CFG1] <site|1> constraint check failed: identity 'pluto.example' required ";
  assert.deepEqual(tell(failed, "16[CFG1] <other|1> switching to peer config 'other'", ikeUp), []);
  assert.deepEqual(tell(failed, "16[CFG1] <site|1> no alternative config found"), ["identity-mismatch"]);
});

test("IKEv1 without a key for the identities fails only without one for the addresses", () => {
  const byIdentity = "12[IKE1] <1> no shared key found for 'sun'[192.0.2.2] - 'moon'[192.0.2.1]";
  assert.deepEqual(tell(byIdentity, ikeUp), []);
  const [finding] = observe(
    createDiagnostician(),
    byIdentity,
    "12[IKE1] <1> no shared key found for 192.0.2.2 - 192.0.2.1",
  );
  assert.deepEqual({ ...finding?.values }, { localId: "sun", remoteId: "moon" });
});

test("IKEv1's one wording for both phases is told apart by the IKE SA", () => {
  const refused = "11[IKE1] <site|1> received NO_PROPOSAL_CHOSEN error notify";
  const invalid = "11[IKE1] <site|1> received INVALID_ID_INFORMATION error notify";
  assert.deepEqual(tell(refused), ["ike-refused"]);
  assert.deepEqual(tell(ikeUp, refused), ["child-refused"]);
  assert.deepEqual(tell(invalid), ["identity-mismatch"]);
  assert.deepEqual(tell(ikeUp, invalid), ["traffic-selector-mismatch"]);
});

test("garbage on an IKE SA that stands is not taken for a wrong key", () => {
  const garbage = "15[ENC1] <site|1> invalid HASH_V1 payload length, decryption failed?";
  assert.deepEqual(tell(ikeUp, garbage), []);
  assert.deepEqual(tell(garbage), ["psk-mismatch"]);
});

test("a first CHILD SA refused is vague, a rekeying refused after it is a matter of its group", () => {
  const building = "15[IKE0] <site|1> establishing CHILD_SA site{1}";
  const refused = "11[IKE1] <site|1> received NO_PROPOSAL_CHOSEN notify, no CHILD_SA built";
  assert.deepEqual(tell(building, ikeUp, refused), ["child-refused"]);
  const rekeying = "15[IKE0] <site|1> establishing CHILD_SA site{2} reqid 1";
  assert.deepEqual(tell(building, ikeUp, childUp, rekeying, refused), ["pfs-mismatch"]);
  const otherChild = "15[IKE0] <site|1> establishing CHILD_SA other{2}";
  assert.deepEqual(tell(building, ikeUp, childUp, otherChild, refused), ["child-refused"]);
  const ikeRekeyed = "13[IKE0] <site|1> IKE_SA site[3] rekeyed between 192.0.2.1[moon]...192.0.2.2[sun]";
  const later = [rekeying, refused].map((text) => text.replace("|1>", "|3>"));
  assert.deepEqual(tell(building, ikeUp, childUp, ikeRekeyed, ...later), ["pfs-mismatch"]);
});

test("a name that does not resolve is told once and then belongs to its connection", () => {
  const diagnostician = createDiagnostician();
  const text = readFileSync(new URL("lines/name-unresolvable-retry.moon.log", import.meta.url), "utf8");
  assert.equal(observe(diagnostician, ...text.split("\n")).length, 1);
  const [finding, ...more] = diagnostician.active();
  assert.deepEqual(more, []);
  assert.deepEqual([finding?.connection, finding?.values.name], ["site", "vpn.peer.invalid"]);
  observe(diagnostician, received);
  assert.deepEqual(diagnostician.active(), []);
});

test("a new charon starts with a clean sheet, except for what starter refused to load", () => {
  const diagnostician = createDiagnostician();
  observe(
    diagnostician,
    "# ignored conn 'bad' due to 1 parsing error",
    "00[NET1] unable to bind socket: Address in use",
    rejected,
    "00[DMN1] Starting IKE charon daemon (strongSwan 5.9.8, Linux 6.1.0, x86_64)",
  );
  assert.deepEqual(causesOf(diagnostician.active()), ["configuration-invalid"]);
  observe(diagnostician, "05[CFG1] added configuration 'bad'");
  assert.deepEqual(diagnostician.active(), []);
});

test("a missing capability explains what follows from it", () => {
  const diagnostician = createDiagnostician();
  const findings = observe(
    diagnostician,
    "00[KNL1] kernel-netlink plugin might require CAP_NET_ADMIN capability",
    "16[KNL1] <site|1> received netlink error: Operation not permitted (1)",
    "16[KNL1] <site|1> unable to add SAD entry with SPI cd019cb5 (FAILED)",
    "16[IKE1] <site|1> unable to install inbound and outbound IPsec SA (SAD) in kernel",
    "16[IKE1] <site|1> failed to establish CHILD_SA, keeping IKE_SA",
  );
  assert.deepEqual(causesOf(findings), ["no-permission"]);
});

test("secrets that are read again are judged again", () => {
  const diagnostician = createDiagnostician();
  const broken = ["05[CFG1] loading secrets from '/etc/ipsec.secrets'", "05[CFG1] line 1: missing token"];
  assert.deepEqual(causesOf(observe(diagnostician, ...broken)), ["secrets-unreadable"]);
  observe(diagnostician, "06[CFG1] rereading secrets");
  assert.deepEqual(diagnostician.active(), []);
  assert.deepEqual(causesOf(observe(diagnostician, ...broken)), ["secrets-unreadable"]);
});

test("strangers from a thousand addresses fill no memory", () => {
  const diagnostician = createDiagnostician();
  for (let index = 0; index < 2_000; index += 1) {
    const address = `198.51.${index >> 8}.${index & 255}`;
    observe(
      diagnostician,
      `15[IKE1] <${index}> no IKE config found for 192.0.2.2...${address}, sending NO_PROPOSAL_CHOSEN`,
    );
    observe(
      diagnostician,
      `15[NET1] <${index}> received packet: from ${address}[500] to 192.0.2.2[500] (464 bytes)`,
      `15[IKE1] <${index}> received proposals unacceptable`,
    );
  }
  assert.ok(diagnostician.active().length <= 257);
});

test("no order of recorded lines makes it fail or tell the same cause twice in a row", () => {
  const files = [
    "psk-mismatch-v1.moon",
    "pfs-mismatch-v2.moon",
    "port-in-use.moon",
    "peer-back-v2.moon",
    "conf-value.moon",
  ];
  const texts = files.flatMap((name) =>
    readFileSync(new URL(`lines/${name}.log`, import.meta.url), "utf8").split("\n"),
  );
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...texts), { maxLength: 200 }), (chosen) => {
      const diagnostician = createDiagnostician();
      for (const text of chosen) {
        const before = diagnostician.active();
        const finding = diagnostician.observe(parseCharonLine(text));
        if (finding === undefined) continue;
        assert.ok(diagnostician.active().includes(finding));
        assert.ok(
          !before.some(
            ({ cause, connection }) => cause === finding.cause && connection === finding.connection,
          ),
        );
      }
    }),
    { numRuns: 300 },
  );
});

test("a refusal after a signature of ours is one of the certificate, not of a pre-shared key", () => {
  for (const [proof, variable] of [
    [
      "11[IKE1] <site|1> authentication of 'moon' (myself) with ECDSA_WITH_SHA256_DER successful",
      "IPSEC_CERT",
    ],
    ["11[IKE1] <site|1> authentication of 'moon' (myself) successful", "IPSEC_CERT"],
    ["11[IKE1] <site|1> authentication of 'moon' (myself) with pre-shared key", "IPSEC_PSK"],
  ] as const) {
    const [finding] = observe(createDiagnostician(), initiating("site"), proof, rejected);
    assert.equal(finding?.cause, "authentication-failed");
    assert.equal(finding?.variables[0], variable);
    assert.equal(finding?.variables.at(-1), "IPSEC_AUTH");
  }
});

test("why a certificate is not trusted is told, and not also that it is not", () => {
  const untrusted = "16[IKE1] <site|1> no trusted ECDSA public key found for 'sun.example'";
  for (const [reason, cause] of [
    ["16[CFG1] <site|1> subject certificate invalid (valid from A to B)", "certificate-expired"],
    ["16[CFG1] <site|1> certificate was revoked on A, reason: key compromise", "certificate-revoked"],
    ['16[CFG1] <site|1> no issuer certificate found for "CN=sun"', "certificate-untrusted"],
  ] as const)
    assert.deepEqual(tell(initiating("site"), reason, untrusted), [cause]);
  // A certificate of the same identity that is valid may follow.
  assert.deepEqual(
    tell(initiating("site"), "16[CFG1] <site|1> subject certificate invalid (valid from A to B)"),
    [],
  );
});

test("a signature by another key than the peer's is told once no key of it is left, at either end", () => {
  const another = "16[IKE1] <site|1> signature validation failed, looking for another key";
  const noIssuer = '16[CFG1] <site|1> no issuer certificate found for "CN=sun"';
  const [started = "", ...refusals] = [
    initiating("site"),
    "16[ENC1] <site|1> generating INFORMATIONAL request 2 [ N(AUTH_FAILED) ]",
    "16[ENC1] <site|1> generating IKE_AUTH response 1 [ N(AUTH_FAILED) ]",
    "16[IKE1] <site|1> no trusted RSA public key found for 'CN=sun'",
  ];
  const [generic] = observe(createDiagnostician(), noIssuer, refusals[2] ?? "");
  for (const refused of refusals) {
    const [finding, ...more] = observe(createDiagnostician(), started, another, refused);
    assert.deepEqual([finding?.cause, more], ["certificate-untrusted", []]);
    assert.match(finding?.remedy ?? "", /IPSEC_REMOTE_CERT_FILE/);
    const usage = another.replace(
      /signature.*/,
      "rejecting certificate without digitalSignature or nonRepudiation keyUsage flags",
    );
    assert.match(
      observe(createDiagnostician(), started, usage, another, refused)[0]?.meaning ?? "",
      /key usage/,
    );
    const expired = "16[CFG1] <site|1> subject certificate invalid (valid from A to B)";
    assert.deepEqual(tell(started, another, expired, refused), ["certificate-expired"]);
  }
  // The certificate that we have was looked at before, the one that came is after.
  for (const lines of [
    [noIssuer, another],
    [another, noIssuer],
  ]) {
    const [finding] = observe(createDiagnostician(), started, ...lines, refusals[0] ?? "");
    assert.ok(finding);
    assert.notEqual(finding.meaning, generic?.meaning);
  }
});

test("what was said of a key is over once another one of the peer's fits", () => {
  const another = "16[IKE1] <site|1> signature validation failed, looking for another key";
  const proof = "16[IKE1] <site|1> authentication of 'CN=sun' with ECDSA_WITH_SHA256_DER successful";
  const refused = "16[ENC1] <site|1> generating INFORMATIONAL request 2 [ N(AUTH_FAILED) ]";
  assert.deepEqual(tell(initiating("site"), another, proof, refused), []);
  const own = proof.replace("' with", "' (myself) with");
  assert.deepEqual(tell(initiating("site"), another, own, refused), ["certificate-untrusted"]);
});
