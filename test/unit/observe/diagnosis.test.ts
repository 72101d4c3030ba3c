import assert from "node:assert/strict";
import { test } from "node:test";
import { type CauseName, causes } from "../../../src/observe/causes.ts";
import { parseCharonLine } from "../../../src/observe/charon-line.ts";
import { diagnose, readFailure } from "../../../src/observe/diagnosis.ts";
import { failureMessages } from "../../../src/observe/failure-messages.ts";

type Sample = readonly [line: string, cause: CauseName, values?: Readonly<Record<string, string>>];

// The wording of the format strings of strongSwan 5.9.8, 5.9.14 and 6.0.6, which agree unless a comment says otherwise.
const samples: readonly Sample[] = [
  [
    "/etc/ipsec.conf:6: syntax error, unexpected EQ",
    "configuration-invalid",
    { place: "/etc/ipsec.conf:6", detail: "syntax error, unexpected EQ" },
  ],
  ["00[CFG] invalid config file '/etc/strongswan.conf'", "configuration-invalid"],
  [
    "# ignored conn 'site' due to 2 parsing errors",
    "configuration-invalid",
    { connection: "site", detail: "2 parsing errors" },
  ],
  ["unable to start strongSwan -- fatal errors in config", "configuration-invalid"],
  ["can't reload config file due to errors -- keeping old one", "configuration-invalid"],
  ["09[CFG1] algorithm 'aes999' not recognized", "proposal-invalid", { algorithm: "aes999" }],
  ["09[CFG1] skipped invalid proposal string: aes999-sha256", "proposal-invalid"],
  ["07[CFG1] installing trap failed, remote address unknown", "trap-impossible"],
  [
    "07[CFG1] installing trap failed, remote address unknown with dynamic traffic selector",
    "trap-impossible",
  ],
  [
    "05[CFG1] opening secrets file '/etc/ipsec.secrets' failed: Permission denied",
    "secrets-unreadable",
    { file: "/etc/ipsec.secrets", reason: "Permission denied" },
  ],
  [
    "00[CFG1] line 3: malformed secret: unterminated string",
    "secrets-unreadable",
    {
      line: "3",
      reason: "malformed secret: unterminated string",
    },
  ],
  // glibc, musl
  ["00[NET1] unable to bind socket: Address already in use", "port-in-use"],
  ["00[NET1] unable to bind socket: Address in use", "port-in-use"],
  ["00[NET1] unable to bind socket: Permission denied", "no-permission"],
  [
    "00[NET1] socket-default plugin requires CAP_NET_BIND_SERVICE capability",
    "no-permission",
    { capability: "CAP_NET_BIND_SERVICE" },
  ],
  ["00[KNL1] kernel-netlink plugin might require CAP_NET_ADMIN capability", "no-permission"],
  // 6.0 may print the kernel's own words, so the number decides.
  ["00[KNL1] received netlink error: some words of the kernel (1)", "no-permission"],
  ["16[NET1] no socket implementation registered, sending failed", "no-socket"],
  ["16[NET1] no socket found to send IPv6 packet from port 500", "no-socket"],
  ["00[LIB1] failed to open /dev/net/tun: No such file or directory", "userspace-unavailable"],
  ["00[LIB1] failed to configure TUN device: Operation not permitted", "userspace-unavailable"],
  [
    "17[LIB1] resolving 'vpn.example' failed: Name does not resolve",
    "name-unresolvable",
    { name: "vpn.example", reason: "Name does not resolve" },
  ],
  ["10[IKE1] <site|1> unable to resolve vpn.example, initiate aborted", "name-unresolvable"],
  ["10[IKE1] <site|1> unable to resolve vpn.example, retrying in 60s", "name-unresolvable"],
  // glibc, musl
  ["02[NET1] error writing to socket: Network is unreachable", "no-route"],
  ["02[NET1] error writing to socket: Network unreachable", "no-route"],
  ["02[NET1] error writing to socket: No route to host", "no-route"],
  ["02[NET1] error writing to socket: Host is unreachable", "no-route"],
  ["02[NET1] error writing to socket: Operation not permitted", "blocked-by-firewall"],
  ["13[IKE1] <site|1> retransmit 3 of request with message ID 0", "peer-silent", { retransmissions: "3" }],
  ["13[IKE1] <site|1> retransmit 3 of request with message ID 1", "peer-silent"],
  ["13[IKE1] <site|1> retransmit 4 of request with message ID 17", "peer-silent"],
  ["13[IKE1] <site|1> sending retransmit 3 of request message ID 0, seq 1", "peer-silent"],
  ["13[IKE1] <site|1> sending retransmit 3 of request message ID 0, seq 3", "peer-silent"],
  ["13[IKE1] <site|1> sending retransmit 3 of response message ID 3059114736, seq 2", "peer-silent"],
  ["14[IKE1] <site|1> giving up after 5 retransmits", "peer-silent"],
  ["14[IKE1] <site|1> peer not responding, trying again (2/0)", "peer-silent"],
  ["14[IKE1] <site|1> establishing IKE_SA failed, peer not responding", "peer-silent"],
  ["13[JOB1] <site|1> DPD check timed out, enforcing DPD action", "peer-silent"],
  [
    "15[IKE1] <1> no IKE config found for 2001:db8::2...2001:db8::1, sending NO_PROPOSAL_CHOSEN",
    "connection-unknown",
    { localAddress: "2001:db8::2", remoteAddress: "2001:db8::1" },
  ],
  [
    "03[NET1] received unsupported IKE version 3.0 from 192.0.2.1, sending INVALID_MAJOR_VERSION",
    "ike-version-mismatch",
  ],
  ["03[IKE1] <site|1> received INVALID_MAJOR_VERSION notify error", "ike-version-mismatch"],
  ["12[IKE1] <site|1> received NO_PROPOSAL_CHOSEN notify error", "ike-refused"],
  ["12[IKE1] <site|1> received NO_PROPOSAL_CHOSEN error notify", "ike-refused"],
  ["09[IKE1] <1> received proposals unacceptable", "ike-proposal-mismatch"],
  ["16[IKE1] <1> no proposal found", "ike-proposal-mismatch"],
  // 5.9, then 6.0
  [
    "13[IKE1] <site|1> peer didn't accept DH group MODP_2048, it requested ECP_256",
    "key-exchange-retried",
    { offered: "MODP_2048", requested: "ECP_256" },
  ],
  [
    "13[IKE1] <site|1> peer didn't accept key exchange method MODP_2048, it requested ML_KEM_768",
    "key-exchange-retried",
    { offered: "MODP_2048", requested: "ML_KEM_768" },
  ],
  ["10[IKE1] <1> DH group MODP_2048 unacceptable, requesting ECP_256", "key-exchange-retried"],
  [
    "10[IKE1] <1> key exchange method MODP_2048 unacceptable, requesting ECP_256",
    "key-exchange-retried",
    { offered: "MODP_2048", requested: "ECP_256" },
  ],
  [
    "11[IKE1] <site|1> tried 2 shared keys for 'C=CH, O=x' - 'it's - me', but MAC mismatched",
    "psk-mismatch",
    { localId: "C=CH, O=x", remoteId: "it's - me" },
  ],
  ["13[ENC1] <1> invalid ID_V1 payload length, decryption failed?", "psk-mismatch"],
  [
    "02[IKE1] <site|1> no shared key found for 'moon.example'[192.0.2.1] - 'sun.example'[192.0.2.2]",
    "psk-not-found",
    { localId: "moon.example", remoteId: "sun.example" },
  ],
  [
    "02[IKE1] <site|1> no shared key found for 192.0.2.1 - 192.0.2.2",
    "psk-not-found",
    { localId: "192.0.2.1", remoteId: "192.0.2.2" },
  ],
  [
    "13[IKE1] <site|1> no shared key found for 'moon.example' - 'sun.example'",
    "psk-not-found",
    { localId: "moon.example", remoteId: "sun.example" },
  ],
  ["16[CFG1] <1> no matching peer config found", "identity-mismatch"],
  ["16[IKE1] <1> no peer config found", "identity-mismatch"],
  [
    "16[IKE1] <1> found 1 matching config, but none allows pre-shared key authentication using Aggressive Mode",
    "authentication-failed",
    { authentication: "pre-shared key", mode: "Aggressive" },
  ],
  [
    "14[IKE1] <site|1> IDir 'sun.example' does not match to 'pluto.example'",
    "identity-mismatch",
    { receivedId: "sun.example", expectedId: "pluto.example" },
  ],
  // 5.9 with its blank at the end, then 6.0
  [
    "16[CFG1] <site|1> constraint check failed: identity 'pluto.example' required ",
    "identity-mismatch",
    { expectedId: "pluto.example" },
  ],
  [
    "16[CFG1] <site|1> constraint check failed: identity 'pluto.example' (ID_FQDN) required, not matched by 'sun.example' (ID_FQDN)",
    "identity-mismatch",
    { expectedId: "pluto.example", receivedId: "sun.example" },
  ],
  [
    "16[CFG1] <site|1> constraint check failed: identity 'pluto.example' (ID_FQDN) required",
    "identity-mismatch",
    { expectedId: "pluto.example" },
  ],
  // 6.0 only
  [
    "16[CFG1] <site|1> constraint check failed: certificate does not confirm identity 'sun.example' (ID_FQDN)",
    "certificate-untrusted",
  ],
  ["16[CFG1] <site|1> no alternative config found", "authentication-failed"],
  ["16[IKE1] <site|1> no trusted RSA public key found for 'sun.example'", "certificate-untrusted"],
  ["16[IKE1] <site|1> no private key found for 'moon.example'", "private-key-missing"],
  ["16[IKE1] <site|1> no RSA private key found for 'moon.example'", "private-key-missing"],
  [
    "16[CFG1] <site|1> subject certificate invalid (valid from Jan 01 00:00:00 2020 to Jan 01 00:00:00 2021)",
    "certificate-expired",
    { notBefore: "Jan 01 00:00:00 2020", notAfter: "Jan 01 00:00:00 2021" },
  ],
  [
    "16[CFG1] <site|1> certificate was revoked on Nov 23 20:30:49 UTC 2026, reason: key compromise",
    "certificate-revoked",
    { revokedAt: "Nov 23 20:30:49 UTC 2026", reason: "key compromise" },
  ],
  [
    '16[CFG1] <site|1> no issuer certificate found for "C=DE, CN=sun"',
    "certificate-untrusted",
    { subject: "C=DE, CN=sun" },
  ],
  ['16[CFG1] <site|1>   self-signed certificate "C=DE, CN=sun" is not trusted', "certificate-untrusted"],
  [
    "16[IKE1] <site|1> rejecting certificate without digitalSignature or nonRepudiation keyUsage flags",
    "certificate-untrusted",
  ],
  ["16[IKE1] <site|1> signature validation failed, looking for another key", "certificate-untrusted"],
  [
    "16[CFG1] <site|1> constraint check failed: peer not authenticated by CA 'C=DE, CN=root'",
    "certificate-untrusted",
  ],
  [
    "16[CFG1] <site|1> constraint check failed: peer not authenticated with peer cert 'C=DE, CN=sun'",
    "certificate-untrusted",
  ],
  [
    "16[CFG1] <site|1> constraint check failed: RULE_CRL_VALIDATION is SKIPPED, but requires at least GOOD",
    "certificate-status-unknown",
    { status: "SKIPPED" },
  ],
  ["16[IKE1] <site|1> received AUTHENTICATION_FAILED notify error", "authentication-failed"],
  ["16[IKE1] <site|1> received AUTHENTICATION_FAILED error notify", "authentication-failed"],
  ["16[IKE1] <site|1> received INVALID_KE_PAYLOAD error notify", "authentication-failed"],
  ["16[IKE1] <site|1> received INVALID_ID_INFORMATION error notify", "traffic-selector-mismatch"],
  ["15[IKE1] <site|1> received NO_PROPOSAL_CHOSEN notify, no CHILD_SA built", "child-refused"],
  ["15[IKE1] <site|1> received TS_UNACCEPTABLE notify, no CHILD_SA built", "traffic-selector-mismatch"],
  ["15[IKE1] <site|1> received NO_ADDITIONAL_SAS notify, no CHILD_SA built", "child-failed"],
  ["08[IKE1] <site|1> no acceptable proposal found", "child-proposal-mismatch"],
  ["08[IKE1] <site|1> no matching proposal found, sending NO_PROPOSAL_CHOSEN", "child-proposal-mismatch"],
  ["08[IKE1] <site|1> no matching proposal found", "child-proposal-mismatch"],
  [
    "10[IKE1] <site|1> traffic selectors 10.2.0.0/24 10.3.0.0/24 === 10.1.0.0/24 unacceptable",
    "traffic-selector-mismatch",
    { localNetworks: "10.2.0.0/24 10.3.0.0/24", remoteNetworks: "10.1.0.0/24" },
  ],
  [
    "14[IKE1] <site|1> no matching CHILD_SA config found for 10.1.0.0/24 === 10.2.0.0/24",
    "traffic-selector-mismatch",
    { remoteNetworks: "10.1.0.0/24", localNetworks: "10.2.0.0/24" },
  ],
  ["14[IKE1] <site|1> no acceptable traffic selectors found", "traffic-selector-mismatch"],
  ["16[KNL1] <site|1> received netlink error: Requested type not found (93)", "esp-unavailable"],
  ["16[KNL1] <site|1> algorithm CAMELLIA_CCM_8 not supported by kernel!", "esp-unavailable"],
  ["16[KNL1] <site|1> unable to add SAD entry with SPI cd019cb5 (FAILED)", "esp-unavailable"],
  ["16[IKE1] <site|1> unable to install inbound and outbound IPsec SA (SAD) in kernel", "esp-unavailable"],
  ["16[IKE1] <site|1> unable to install outbound IPsec SA (SAD) in kernel", "esp-unavailable"],
  // 5.9, then 6.0
  ["16[IKE1] <site|1> unable to allocate SPIs from kernel", "esp-unavailable"],
  ["16[IKE1] <site|1> unable to allocate SPI from kernel", "esp-unavailable"],
  [
    "00[LIB1] feature CUSTOM:libcharon in critical plugin 'charon' has unmet dependency: CUSTOM:kernel-ipsec",
    "esp-unavailable",
  ],
  ["16[IKE1] <site|1> unable to install IPsec policies (SPD) in kernel", "policy-refused"],
  ["08[IKE1] <site|1> failed to establish CHILD_SA, keeping IKE_SA", "child-failed"],
];

for (const [text, cause, values] of samples)
  test(`"${text}" means ${cause}`, () => {
    const diagnosis = diagnose(parseCharonLine(text));
    assert.equal(diagnosis?.cause, cause);
    if (values !== undefined) assert.deepEqual({ ...diagnosis.values }, values);
  });

test("every row of the table has a line that it is the first to match", () => {
  const used = new Set(samples.map(([text]) => readFailure(parseCharonLine(text))?.message));
  assert.deepEqual(
    failureMessages.filter((message) => !used.has(message)),
    [],
  );
});

test("every cause has a line, or is what the diagnostician makes of one", () => {
  const used = new Set<string>(samples.map(([, cause]) => cause));
  assert.deepEqual(
    Object.keys(causes).filter((cause) => !used.has(cause)),
    ["pfs-mismatch"],
  );
});

test("what is no failure tells nothing", () => {
  for (const text of [
    "13[IKE1] <site|1> retransmit 2 of request with message ID 0",
    "13[IKE1] <site|1> sending retransmit 1 of request message ID 0, seq 3",
    // Of the two directories that the image includes, one is empty as a rule.
    "00[CFG1] expanding file expression '/etc/ipsec.secrets.de/*.secrets' failed",
    "00[NET1] farp plugin requires CAP_NET_RAW capability",
    "16[KNL1] <site|1> received netlink error: File exists (17)",
    "# unknown keyword 'if_id_in'",
    "00[LIB1] line 3: no message of the secrets",
    "09[IKE2] <site|1> received NO_PROPOSAL_CHOSEN notify error",
    "09[IKE1] <site|1> he said: received NO_PROPOSAL_CHOSEN notify error",
  ])
    assert.equal(diagnose(parseCharonLine(text)), undefined, text);
});

test("what a peer names is cut at 1,000 characters", () => {
  const line = `11[IKE1] <site|1> tried 1 shared key for 'me' - '${"x".repeat(1500)}', but MAC mismatched`;
  assert.equal(diagnose(parseCharonLine(line))?.values.remoteId?.length, 1000);
});

test("a line that a hostile peer made long is not judged, and costs no time", () => {
  for (const part of ["' - '", "]...1[", " === ", "'", "is initiating a "])
    for (const before of [
      "",
      "tried 1 shared key for '",
      "no shared key found for ",
      "traffic selectors ",
      "IDir '",
    ]) {
      const lineOf = (count: number) => parseCharonLine(`11[IKE1] <1> ${before}${part.repeat(count)}`);
      diagnose(lineOf(Math.floor(2_000 / part.length)));
      assert.equal(diagnose(lineOf(20_000)), undefined);
    }
});

test("every cause says what is wrong and what to do, in one lower-case line", () => {
  for (const [name, { meaning, remedy }] of Object.entries(causes))
    for (const text of [meaning, remedy]) {
      assert.doesNotMatch(text, /\.$|\n/, name);
      assert.match(text, /^[a-z`I]/, name);
    }
});

test("where the two ends may authenticate in different ways, the variable of that is named", () => {
  for (const text of [
    "13[IKE1] <site|1> no shared key found for 'moon.example' - 'sun.example'",
    "16[IKE1] <site|1> no trusted RSA public key found for 'sun.example'",
    "16[IKE1] <site|1> received AUTHENTICATION_FAILED notify error",
  ]) {
    const { variables, remedy } = diagnose(parseCharonLine(text)) ?? assert.fail();
    assert.ok(variables.includes("IPSEC_AUTH"));
    assert.match(remedy, /IPSEC_AUTH/);
  }
});
