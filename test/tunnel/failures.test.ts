import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { readinessOf } from "../support/ask-gateway.ts";
import { createLab } from "../support/lab.ts";
import { diagnoses, hasTunnels, isReady, stop, tunnelEnvironment } from "../support/our-gateway.ts";
import { peerConf } from "../support/peer-conf.ts";
import type { SiteProcess } from "../support/site-process.ts";
import type { PeerConnection } from "../support/swanctl-conf.ts";
import { assertMended, assertShown, assertToldOnce, type Verdict } from "../support/verdict.ts";
import { waitFor } from "../support/wait-for.ts";

/** What one end finds out, and the message of charon from which. */
type Finding = Verdict & { readonly message: RegExp };

/** A disagreement of the two ends, told once by our gateway as the one that begins and once as the one that answers. */
type Disagreement = {
  readonly title: string;
  readonly version: 1 | 2;
  /** What our gateway does not agree with. */
  readonly peer: Partial<PeerConnection>;
  readonly initiator: Finding;
  /** Absent where the one that answers hears of nothing. */
  readonly responder?: Finding;
};

const refusedIdentity = ["IPSEC_PSK", "IPSEC_LOCALID", "IPSEC_REMOTEID", "IPSEC_AUTH"];
const wrongIdentity = ["IPSEC_REMOTEID", "IPSEC_LOCALID"];
const refusedIke = ["IPSEC_IKECIPHER", "IPSEC_LOCALIP", "IPSEC_REMOTEIP", "IPSEC_KEYEXCHANGE"];

const disagreements: readonly Disagreement[] = [
  {
    title: "another pre-shared key",
    version: 2,
    peer: { psk: Buffer.from("another pre-shared key of more than twenty bytes") },
    initiator: {
      message: /^received AUTHENTICATION_FAILED notify error$/,
      cause: "authentication-failed",
      variables: refusedIdentity,
    },
    responder: {
      message: /^tried 1 shared key for '192\.0\.2\.1' - '192\.0\.2\.2', but MAC mismatched$/,
      cause: "psk-mismatch",
      variables: ["IPSEC_PSK"],
    },
  },
  {
    title: "another pre-shared key",
    version: 1,
    peer: { psk: Buffer.from("another pre-shared key of more than twenty bytes") },
    initiator: {
      message: /^invalid HASH_V1 payload length, decryption failed\?$/,
      cause: "psk-mismatch",
      variables: ["IPSEC_PSK"],
    },
    responder: {
      message: /^invalid ID_V1 payload length, decryption failed\?$/,
      cause: "psk-mismatch",
      variables: ["IPSEC_PSK"],
    },
  },
  {
    title: "an identity of ours that the peer does not expect",
    version: 2,
    peer: { remoteId: "mars.example.org" },
    initiator: {
      message: /^received AUTHENTICATION_FAILED notify error$/,
      cause: "authentication-failed",
      variables: refusedIdentity,
    },
    responder: {
      message: /^no matching peer config found$/,
      cause: "identity-mismatch",
      variables: wrongIdentity,
    },
  },
  {
    title: "an identity of ours that the peer does not expect",
    version: 1,
    peer: { remoteId: "mars.example.org" },
    initiator: {
      message: /^received AUTHENTICATION_FAILED error notify$/,
      cause: "authentication-failed",
      variables: refusedIdentity,
    },
  },
  {
    title: "an identity of the peer that we do not expect",
    version: 2,
    peer: { localId: "pluto.example.org" },
    initiator: {
      message: /^received AUTHENTICATION_FAILED notify error$/,
      cause: "authentication-failed",
      variables: refusedIdentity,
    },
    responder: {
      message: /^no matching peer config found$/,
      cause: "identity-mismatch",
      variables: wrongIdentity,
    },
  },
  {
    title: "an identity of the peer that we do not expect",
    version: 1,
    peer: { localId: "pluto.example.org" },
    initiator: {
      message: /^IDir 'pluto\.example\.org' does not match to '192\.0\.2\.2'$/,
      cause: "identity-mismatch",
      variables: wrongIdentity,
    },
    responder: { message: /^no peer config found$/, cause: "identity-mismatch", variables: wrongIdentity },
  },
  {
    title: "no common IKE proposal",
    version: 2,
    peer: { proposals: "aes256gcm16-prfsha384-ecp384" },
    initiator: {
      message: /^received NO_PROPOSAL_CHOSEN notify error$/,
      cause: "ike-refused",
      variables: refusedIke,
    },
    responder: {
      message: /^received proposals unacceptable$/,
      cause: "ike-proposal-mismatch",
      variables: ["IPSEC_IKECIPHER"],
    },
  },
  {
    title: "no common IKE proposal",
    version: 1,
    peer: { proposals: "aes256-sha512-modp2048" },
    initiator: {
      message: /^received NO_PROPOSAL_CHOSEN error notify$/,
      cause: "ike-refused",
      variables: refusedIke,
    },
    responder: {
      message: /^no proposal found$/,
      cause: "ike-proposal-mismatch",
      variables: ["IPSEC_IKECIPHER"],
    },
  },
  {
    title: "no common ESP proposal",
    version: 2,
    peer: { espProposals: "aes256gcm16" },
    initiator: {
      message: /^received NO_PROPOSAL_CHOSEN notify, no CHILD_SA built$/,
      cause: "child-refused",
      variables: ["IPSEC_ESPCIPHER"],
    },
    responder: {
      message: /^no acceptable proposal found$/,
      cause: "child-proposal-mismatch",
      variables: ["IPSEC_ESPCIPHER"],
    },
  },
  {
    title: "no common ESP proposal",
    version: 1,
    peer: { espProposals: "aes256-sha512-modp3072" },
    initiator: {
      message: /^received NO_PROPOSAL_CHOSEN error notify$/,
      cause: "child-refused",
      variables: ["IPSEC_ESPCIPHER"],
    },
    responder: {
      message: /^no matching proposal found, sending NO_PROPOSAL_CHOSEN$/,
      cause: "child-proposal-mismatch",
      variables: ["IPSEC_ESPCIPHER"],
    },
  },
  {
    title: "networks that do not mirror each other",
    version: 2,
    peer: { localNetworks: ["10.9.0.0/24"] },
    initiator: {
      message: /^received TS_UNACCEPTABLE notify, no CHILD_SA built$/,
      cause: "traffic-selector-mismatch",
      variables: ["IPSEC_LOCALNET", "IPSEC_REMOTENET"],
    },
    responder: {
      message: /^traffic selectors 10\.1\.0\.0\/24 === 10\.9\.0\.0\/24 unacceptable$/,
      cause: "traffic-selector-mismatch",
      variables: ["IPSEC_LOCALNET", "IPSEC_REMOTENET"],
    },
  },
  {
    title: "networks that do not mirror each other",
    version: 1,
    peer: { remoteNetworks: ["10.9.0.0/24"] },
    initiator: {
      message: /^received INVALID_ID_INFORMATION error notify$/,
      cause: "traffic-selector-mismatch",
      variables: ["IPSEC_LOCALNET", "IPSEC_REMOTENET"],
    },
    responder: {
      message: /^no matching CHILD_SA config found for 10\.2\.0\.0\/24 === 10\.9\.0\.0\/24$/,
      cause: "traffic-selector-mismatch",
      variables: ["IPSEC_LOCALNET", "IPSEC_REMOTENET"],
    },
  },
  {
    title: "perfect forward secrecy at one end only",
    version: 1,
    peer: { espProposals: "aes192-sha256" },
    initiator: {
      message: /^received NO_PROPOSAL_CHOSEN error notify$/,
      cause: "child-refused",
      variables: ["IPSEC_ESPCIPHER"],
    },
    responder: {
      message: /^no matching proposal found, sending NO_PROPOSAL_CHOSEN$/,
      cause: "pfs-mismatch",
      variables: ["IPSEC_ESPCIPHER"],
    },
  },
  {
    title: "a peer that speaks IKEv1 only",
    version: 2,
    peer: { version: 1 },
    initiator: {
      message: /^received NO_PROPOSAL_CHOSEN notify error$/,
      cause: "ike-refused",
      variables: refusedIke,
    },
    responder: {
      message: /^no IKE config found for 192\.0\.2\.1\.\.\.192\.0\.2\.2, sending NO_PROPOSAL_CHOSEN$/,
      cause: "connection-unknown",
      variables: ["IPSEC_REMOTEIP", "IPSEC_LOCALIP", "IPSEC_KEYEXCHANGE"],
    },
  },
  {
    title: "a peer that speaks IKEv2 only",
    version: 1,
    peer: { version: 2 },
    initiator: {
      message: /^received NO_PROPOSAL_CHOSEN error notify$/,
      cause: "ike-refused",
      variables: refusedIke,
    },
    responder: {
      message: /^no IKE config found for 192\.0\.2\.1\.\.\.192\.0\.2\.2, sending NO_PROPOSAL_CHOSEN$/,
      cause: "connection-unknown",
      variables: ["IPSEC_REMOTEIP", "IPSEC_LOCALIP", "IPSEC_KEYEXCHANGE"],
    },
  },
  {
    title: "an address of ours that the peer does not expect",
    version: 2,
    peer: { remoteAddress: "192.0.2.77", remoteId: "192.0.2.1" },
    initiator: {
      message: /^received NO_PROPOSAL_CHOSEN notify error$/,
      cause: "ike-refused",
      variables: refusedIke,
    },
  },
];

// Most of their time they wait for a second attempt.
suite("what does not fit is told once, with its cause, and no more once it fits", { concurrency: 4 }, () => {
  for (const { title, version, peer, ...findings } of disagreements) {
    test(`${title}, IKEv${version}`, async () => {
      await using lab = await createLab();
      const disagreeing = peerConf(lab, { version, ...peer });
      const agreeing = peerConf(lab, { version });
      const sun = await lab.sun.peer({ charonLines: ["retransmit_timeout = 0.5"] });
      const initiate = () => lab.sun.exec(["swanctl", "--initiate", "--child", "site", "--timeout", "1"]);
      for (const [role, start] of [
        ["initiator", "start"],
        ["responder", "add"],
      ] as const) {
        const finding = findings[role];
        if (finding === undefined) continue;
        await sun.load(disagreeing);
        const moon = lab.moon.gateway(
          tunnelEnvironment(lab.moon, lab.sun, {
            IPSEC_KEYEXCHANGE: `ikev${version}`,
            IPSEC_START: start,
          }),
        );
        if (role === "responder") {
          await isReady(moon);
          // The first attempt tells; the second, which must tell nothing new, ends when the first one's time is up.
          for (const _ of [1, 2]) await initiate();
        }
        await assertTold(moon, finding);
        await assertShown(lab.moon, finding);
        await sun.load(agreeing);
        // Its attempts under the old configuration would take a while to end.
        await lab.sun.exec(["swanctl", "--terminate", "--ike", "site", "--force"]);
        await initiate();
        await assertMended(lab.moon);
        assertToldOnce(moon, finding);
        assert.equal(await stop(moon), 0);
      }
    });
  }
});

// The keys of IKEv2's first CHILD SA come from the IKE SA's, so its group is not asked for before the first renewal (RFC 7296 §1.2).
for (const [role, start] of [
  ["initiator", "start"],
  ["responder", "add"],
] as const) {
  test(`perfect forward secrecy at one end only shows at the first rekeying, to the ${role}, IKEv2`, async () => {
    await using lab = await createLab();
    const sun = await lab.sun.peer({ swanctl: peerConf(lab, { espProposals: "aes192gcm16" }) });
    const initiate = () => lab.sun.exec(["swanctl", "--initiate", "--child", "site", "--timeout", "1"]);
    const moon = lab.moon.gateway(tunnelEnvironment(lab.moon, lab.sun, { IPSEC_START: start }));
    await isReady(moon);
    if (role === "responder") await initiate();
    await hasTunnels(moon);
    const begins = role === "initiator" ? lab.moon : lab.sun;
    await begins.run(["swanctl", "--rekey", "--child", "site"]);
    await moon.waitForRecord(({ event }) => event === "diagnosis");
    const verdict = { cause: "pfs-mismatch", variables: ["IPSEC_ESPCIPHER"] };
    assertToldOnce(moon, verdict);
    // Until the old keys expire the tunnel works.
    const { status, ready, failures } = await readinessOf(lab.moon);
    assert.deepEqual({ status, ready }, { status: 200, ready: true });
    assert.deepEqual(
      failures.map(({ cause, connection }) => ({ cause, connection })),
      [{ cause: "pfs-mismatch", connection: "site" }],
    );
    // While it renews what it closes, swanctl calls that a failure.
    await lab.sun.exec(["swanctl", "--terminate", "--child", "site"]);
    if (role === "responder") await initiate();
    await waitFor("the tunnel to be down for that reason", async () =>
      (await readinessOf(lab.moon)).ready ? undefined : true,
    );
    await assertShown(lab.moon, verdict);
    await sun.load(peerConf(lab));
    await initiate();
    await assertMended(lab.moon);
    assertToldOnce(moon, verdict);
    assert.equal(await stop(moon), 0);
  });
}

/** Waits until charon has said it twice, in two attempts as a rule, and looks at everything that was told until then. */
const assertTold = async (gateway: SiteProcess, finding: Finding): Promise<void> => {
  const says = ({ program, message }: { readonly [field: string]: unknown }) =>
    program === "charon" && finding.message.test(`${message}`);
  const first = await gateway.waitForRecord(says);
  await gateway.waitForRecord(says, { from: gateway.records().indexOf(first) + 1 });
  assertToldOnce(gateway, finding);
  assert.equal(diagnoses(gateway)[0], first);
};
