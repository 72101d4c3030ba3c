import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import type { CauseName } from "../../../src/observe/causes.ts";
import { parseCharonLine } from "../../../src/observe/charon-line.ts";
import { createDiagnostician, type Finding } from "../../../src/observe/diagnostician.ts";

// Both ends' logs of strongSwan 5.9.8, recorded in two network namespaces. moon (192.0.2.1, 10.1.0.0/24) initiates,
// sun (192.0.2.2, 10.2.0.0/24) responds; the files are named after what is wrong.
const lines = new URL("lines/", import.meta.url);

/** A finding, in order; `ended` when a later success in the same log put an end to it. */
type Expected = {
  readonly cause: CauseName;
  readonly of?: "site" | "192.0.2.1" | "daemon";
  readonly values?: Readonly<Record<string, string>>;
  readonly ended?: true;
};

const ikeProposals = {
  received: "IKE:AES_CBC_256/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/MODP_2048",
  configured: "IKE:AES_CBC_128/HMAC_SHA2_384_192/PRF_HMAC_SHA2_384/ECP_256",
};
const espProposals = {
  received: "ESP:AES_CBC_256/HMAC_SHA2_256_128/NO_EXT_SEQ",
  configured: "ESP:AES_GCM_16_128/NO_EXT_SEQ",
};
const group = (received: string, configured: string) => ({
  received: `ESP:AES_CBC_256/HMAC_SHA2_256_128/${received}/NO_EXT_SEQ`,
  configured: `ESP:AES_CBC_256/HMAC_SHA2_256_128/${configured}/NO_EXT_SEQ`,
});
const unresolved = {
  name: "vpn.peer.invalid",
  reason: "Temporary failure in name resolution",
};
const unreachable = (localAddress: string, remoteAddress: string) => ({
  localAddress,
  remoteAddress,
  reason: "Network is unreachable",
});

const expected: Readonly<Record<string, readonly Expected[]>> = {
  "blocked-4500-v1.moon": [{ cause: "peer-silent", of: "site", values: { retransmissions: "2" } }],
  "blocked-4500-v1.sun": [],
  "blocked-4500-v2.moon": [{ cause: "peer-silent", of: "site" }],
  "blocked-4500-v2.sun": [],
  "blocked-by-firewall.moon": [
    {
      cause: "blocked-by-firewall",
      of: "site",
      values: {
        localAddress: "192.0.2.1",
        remoteAddress: "192.0.2.2",
        reason: "Operation not permitted",
      },
    },
  ],
  "certificate-expired-v2.moon": [
    {
      cause: "certificate-expired",
      of: "site",
      values: { notBefore: "Nov 13 23:54:53 2026", notAfter: "Nov 22 23:54:53 2026" },
    },
  ],
  "certificate-expired-v2.sun": [],
  "certificate-refused-v2.moon": [{ cause: "authentication-failed", of: "site" }],
  "certificate-refused-v2.sun": [
    { cause: "certificate-untrusted", of: "site", values: { subject: "C=DE, O=Example, CN=moon" } },
  ],
  "certificate-renewed-v2.moon": [{ cause: "certificate-untrusted", of: "site", values: {} }],
  "certificate-renewed-v2.sun": [],
  "certificate-revoked-v2.moon": [
    {
      cause: "certificate-revoked",
      of: "site",
      values: { revokedAt: "Nov 23 23:54:53 UTC 2026", reason: "unspecified" },
    },
  ],
  "certificate-revoked-v2.sun": [],
  "certificate-status-unknown-v2.moon": [
    { cause: "certificate-status-unknown", of: "site", values: { status: "SKIPPED" } },
  ],
  "certificate-status-unknown-v2.sun": [],
  "certificate-untrusted-v2.moon": [
    { cause: "certificate-untrusted", of: "site", values: { subject: "C=DE, O=Example, CN=sun" } },
  ],
  "certificate-untrusted-v2.sun": [],
  "child-proposal-mismatch-v1.moon": [{ cause: "child-refused", of: "site" }],
  "child-proposal-mismatch-v1.sun": [{ cause: "child-proposal-mismatch", of: "site", values: espProposals }],
  "child-proposal-mismatch-v2.moon": [{ cause: "child-refused", of: "site" }],
  "child-proposal-mismatch-v2.sun": [{ cause: "child-proposal-mismatch", of: "site", values: espProposals }],
  "conf-syntax.moon": [
    {
      cause: "configuration-invalid",
      of: "daemon",
      values: {
        place: "/etc/ipsec.conf:6",
        detail: "syntax error, unexpected EQ",
      },
    },
  ],
  "conf-value.moon": [
    {
      cause: "configuration-invalid",
      of: "site",
      values: {
        connection: "site",
        detail: "1 parsing error",
        complaint: "bad duration value: lifetime=1.5h",
      },
    },
  ],
  "debug-v2.moon": [],
  "esp-unavailable-v1.moon": [
    { cause: "esp-unavailable", of: "site", values: { reason: "Protocol not supported" } },
  ],
  "esp-unavailable-v1.sun": [{ cause: "child-refused", of: "site" }],
  "esp-unavailable-v2.moon": [{ cause: "child-refused", of: "site" }],
  "esp-unavailable-v2.sun": [
    { cause: "esp-unavailable", of: "site", values: { reason: "Protocol not supported" } },
  ],
  "ike-proposal-mismatch-v1.moon": [{ cause: "ike-refused", of: "site" }],
  "ike-proposal-mismatch-v1.sun": [{ cause: "ike-proposal-mismatch", of: "192.0.2.1", values: ikeProposals }],
  "ike-proposal-mismatch-v2.moon": [{ cause: "ike-refused", of: "site" }],
  "ike-proposal-mismatch-v2.sun": [{ cause: "ike-proposal-mismatch", of: "192.0.2.1", values: ikeProposals }],
  "ke-retry-v2.moon": [
    {
      cause: "key-exchange-retried",
      of: "site",
      values: { offered: "MODP_2048", requested: "ECP_256" },
      ended: true,
    },
  ],
  "ke-retry-v2.sun": [{ cause: "key-exchange-retried", of: "192.0.2.1", ended: true }],
  "local-address-missing.moon": [
    { cause: "no-route", of: "site", values: unreachable("192.0.2.99", "192.0.2.2") },
  ],
  "local-address-missing.sun": [],
  "local-id-mismatch-v1.moon": [{ cause: "authentication-failed", of: "site" }],
  "local-id-mismatch-v1.sun": [
    { cause: "identity-mismatch", of: "192.0.2.1", values: { remoteId: "mars.example" } },
  ],
  "local-id-mismatch-v2.moon": [{ cause: "authentication-failed", of: "site" }],
  "local-id-mismatch-v2.sun": [
    {
      cause: "identity-mismatch",
      of: "192.0.2.1",
      values: { localId: "sun.example", remoteId: "mars.example" },
    },
  ],
  "name-unresolvable-retry.moon": [{ cause: "name-unresolvable", of: "daemon", values: unresolved }],
  "name-unresolvable.moon": [{ cause: "name-unresolvable", of: "daemon", values: unresolved }],
  "no-ike-config-v1.moon": [{ cause: "ike-refused", of: "site" }],
  "no-ike-config-v1.sun": [{ cause: "connection-unknown", of: "192.0.2.1" }],
  "no-ike-config-v2.moon": [{ cause: "ike-refused", of: "site" }],
  "no-ike-config-v2.sun": [
    {
      cause: "connection-unknown",
      of: "192.0.2.1",
      values: { localAddress: "192.0.2.2", remoteAddress: "192.0.2.1" },
    },
  ],
  "no-net-admin.moon": [{ cause: "no-permission", of: "daemon", values: { capability: "CAP_NET_ADMIN" } }],
  "no-net-bind.moon": [
    {
      cause: "no-permission",
      of: "daemon",
      values: { capability: "CAP_NET_BIND_SERVICE" },
    },
  ],
  "no-permission.moon": [{ cause: "no-permission", of: "daemon", values: { capability: "CAP_NET_ADMIN" } }],
  "no-psk-initiator-v1.moon": [
    {
      cause: "psk-not-found",
      of: "site",
      values: { localId: "moon.example", remoteId: "sun.example" },
    },
  ],
  "no-psk-initiator-v1.sun": [],
  "no-psk-initiator-v2.moon": [
    {
      cause: "psk-not-found",
      of: "site",
      values: { localId: "moon.example", remoteId: "sun.example" },
    },
  ],
  "no-psk-initiator-v2.sun": [],
  "no-psk-responder-v1.moon": [{ cause: "authentication-failed", of: "site" }],
  "no-psk-responder-v1.sun": [
    {
      cause: "psk-not-found",
      of: "192.0.2.1",
      values: { localId: "sun.example", remoteId: "moon.example" },
    },
  ],
  "no-psk-responder-v2.moon": [{ cause: "authentication-failed", of: "site" }],
  "no-psk-responder-v2.sun": [{ cause: "psk-not-found", of: "site" }],
  "no-route.moon": [{ cause: "no-route", of: "site", values: unreachable("0.0.0.0", "198.51.100.7") }],
  "peer-back-v2.moon": [{ cause: "peer-silent", of: "site", ended: true }],
  "peer-back-v2.sun": [],
  "peer-lost-v1.moon": [{ cause: "peer-silent", of: "site" }],
  "peer-lost-v1.sun": [{ cause: "no-route", of: "site", values: unreachable("192.0.2.2", "192.0.2.1") }],
  "peer-lost-v2.moon": [{ cause: "peer-silent", of: "site" }],
  "peer-lost-v2.sun": [{ cause: "no-route", of: "site", values: unreachable("192.0.2.2", "192.0.2.1") }],
  "peer-silent-v1.moon": [{ cause: "peer-silent", of: "site" }],
  "peer-silent-v2.moon": [{ cause: "peer-silent", of: "site" }],
  "pfs-mismatch-v1.moon": [{ cause: "child-refused", of: "site" }],
  "pfs-mismatch-v1.sun": [{ cause: "pfs-mismatch", of: "site", values: group("MODP_2048", "MODP_3072") }],
  "pfs-mismatch-v2.moon": [{ cause: "pfs-mismatch", of: "site", values: group("MODP_3072", "MODP_2048") }],
  "pfs-mismatch-v2.sun": [{ cause: "pfs-mismatch", of: "site" }],
  "port-in-use.moon": [{ cause: "port-in-use", of: "daemon" }],
  "proposal-unknown.moon": [{ cause: "proposal-invalid", of: "site", values: { algorithm: "aes999" } }],
  "psk-mismatch-v1.moon": [{ cause: "psk-mismatch", of: "site" }],
  "psk-mismatch-v1.sun": [{ cause: "psk-mismatch", of: "192.0.2.1" }],
  "psk-mismatch-v2.moon": [{ cause: "authentication-failed", of: "site" }],
  "psk-mismatch-v2.sun": [
    {
      cause: "psk-mismatch",
      of: "site",
      values: { localId: "sun.example", remoteId: "moon.example" },
    },
  ],
  "rekey-ike-v2.moon": [],
  "rekey-ike-v2.sun": [],
  "rekey-v1.moon": [],
  "rekey-v1.sun": [],
  "rekey-v2.moon": [],
  "rekey-v2.sun": [],
  "remote-id-mismatch-v1.moon": [
    {
      cause: "identity-mismatch",
      of: "site",
      values: { receivedId: "sun.example", expectedId: "pluto.example" },
    },
  ],
  "remote-id-mismatch-v1.sun": [],
  "remote-id-mismatch-v2.moon": [{ cause: "authentication-failed", of: "site" }],
  "remote-id-mismatch-v2.sun": [
    {
      cause: "identity-mismatch",
      of: "192.0.2.1",
      values: { localId: "pluto.example", remoteId: "moon.example" },
    },
  ],
  "remote-id-unexpected-v2.moon": [
    { cause: "identity-mismatch", of: "site", values: { expectedId: "pluto.example" } },
  ],
  "remote-id-unexpected-v2.sun": [],
  // Nobody answers there either; an include that matches no file is no failure.
  "secrets-include-missing.moon": [{ cause: "peer-silent", of: "site" }],
  "secrets-malformed.moon": [
    {
      cause: "secrets-unreadable",
      of: "daemon",
      values: {
        file: "/etc/ipsec.secrets",
        line: "1",
        reason: "missing ' : ' separator",
      },
    },
  ],
  "secrets-malformed.sun": [],
  "secrets-missing.moon": [
    {
      cause: "secrets-unreadable",
      of: "daemon",
      values: {
        file: "/etc/nowhere.secrets",
        reason: "No such file or directory",
      },
    },
    { cause: "peer-silent", of: "site" },
  ],
  "traffic-selector-mismatch-v1.moon": [{ cause: "traffic-selector-mismatch", of: "site" }],
  "traffic-selector-mismatch-v1.sun": [
    {
      cause: "traffic-selector-mismatch",
      of: "site",
      values: { localNetworks: "10.2.0.0/24", remoteNetworks: "10.1.0.0/24" },
    },
  ],
  "traffic-selector-mismatch-v2.moon": [{ cause: "traffic-selector-mismatch", of: "site" }],
  "traffic-selector-mismatch-v2.sun": [
    {
      cause: "traffic-selector-mismatch",
      of: "site",
      values: { localNetworks: "10.2.0.0/24", remoteNetworks: "10.1.0.0/24" },
    },
  ],
  "trap-any.moon": [{ cause: "trap-impossible", of: "site" }],
  "trap-unresolvable.moon": [{ cause: "name-unresolvable", of: "daemon", values: unresolved }],
  "tun-unavailable.moon": [
    {
      cause: "userspace-unavailable",
      of: "daemon",
      values: { reason: "No such file or directory" },
    },
  ],
  "tunnel-up-v1.moon": [],
  "tunnel-up-v1.sun": [],
  "tunnel-up-v2.moon": [],
  "tunnel-up-v2.sun": [],
  "version-mismatch-v1.moon": [{ cause: "ike-refused", of: "site" }],
  "version-mismatch-v1.sun": [{ cause: "connection-unknown", of: "192.0.2.1" }],
};

const subjectOf = ({ connection, peer }: Finding): string => connection ?? peer ?? "daemon";

test("every recorded log has its expected causes", () => {
  const recorded = readdirSync(lines).filter((name) => name.endsWith(".log"));
  assert.deepEqual(recorded.map((name) => name.slice(0, -4)).sort(), Object.keys(expected).sort());
});

for (const [name, wanted] of Object.entries(expected))
  test(`the log ${name} tells ${wanted.map(({ cause }) => cause).join(", ") || "no failure"}, and that once`, () => {
    const diagnostician = createDiagnostician();
    const text = readFileSync(new URL(`${name}.log`, lines), "utf8");
    const findings = text.split("\n").flatMap((line) => diagnostician.observe(parseCharonLine(line)) ?? []);
    assert.deepEqual(
      findings.map(({ cause }) => cause),
      wanted.map(({ cause }) => cause),
    );
    for (const [index, { of, values }] of wanted.entries()) {
      const finding = findings[index];
      assert.ok(finding);
      if (of !== undefined) assert.equal(subjectOf(finding), of);
      if (values !== undefined) assert.deepEqual({ ...finding.values }, values);
    }
    assert.deepEqual(
      diagnostician.active().map(({ cause }) => cause),
      wanted.filter(({ ended }) => !ended).map(({ cause }) => cause),
    );
  });
