import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { createLab } from "../support/lab.ts";
import { diagnoses, isReady, stop, tunnelEnvironment, tunnelPsk } from "../support/our-gateway.ts";
import type { Environment, SiteProcess } from "../support/site-process.ts";
import type { PeerConnection } from "../support/swanctl-conf.ts";

const psk = Buffer.from(tunnelPsk);

/** What one end finds out, and the message of charon from which. */
type Verdict = { readonly message: RegExp; readonly cause: string; readonly variables: readonly string[] };

/** A disagreement of the two ends, told once by our gateway as the one that begins and once as the one that answers. */
type Disagreement = {
  readonly title: string;
  readonly version: 1 | 2;
  readonly gateway?: Environment;
  readonly peer?: Partial<PeerConnection>;
  readonly initiator: Verdict;
  /** Absent where the one that answers hears of nothing. */
  readonly responder?: Verdict;
};

const refusedIdentity = ["IPSEC_PSK", "IPSEC_LOCALID", "IPSEC_REMOTEID"];
const wrongIdentity = ["IPSEC_REMOTEID", "IPSEC_LOCALID"];
const refusedIke = ["IPSEC_IKECIPHER", "IPSEC_LOCALIP", "IPSEC_REMOTEIP", "IPSEC_KEYEXCHANGE"];
const classicProposals = { proposals: "aes192-sha256-modp3072", espProposals: "aes192-sha256-modp3072" };

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
    gateway: { IPSEC_LOCALID: "mars.example.org" },
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
    gateway: { IPSEC_LOCALID: "mars.example.org" },
    initiator: {
      message: /^received AUTHENTICATION_FAILED error notify$/,
      cause: "authentication-failed",
      variables: refusedIdentity,
    },
  },
  {
    title: "an identity of the peer that we do not expect",
    version: 2,
    gateway: { IPSEC_REMOTEID: "pluto.example.org" },
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
    gateway: { IPSEC_REMOTEID: "pluto.example.org" },
    initiator: {
      message: /^IDir '192\.0\.2\.2' does not match to 'pluto\.example\.org'$/,
      cause: "identity-mismatch",
      variables: wrongIdentity,
    },
    responder: { message: /^no peer config found$/, cause: "identity-mismatch", variables: wrongIdentity },
  },
  {
    title: "no common IKE proposal",
    version: 2,
    gateway: { IPSEC_IKECIPHER: "aes256gcm16-prfsha384-ecp384" },
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
    gateway: { IPSEC_IKECIPHER: "aes256-sha512-modp2048" },
    peer: classicProposals,
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
    gateway: { IPSEC_ESPCIPHER: "aes256gcm16" },
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
    gateway: { IPSEC_ESPCIPHER: "aes256-sha512-modp3072" },
    peer: classicProposals,
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
    gateway: { IPSEC_REMOTENET: "10.9.0.0/24" },
    initiator: {
      message: /^received TS_UNACCEPTABLE notify, no CHILD_SA built$/,
      cause: "traffic-selector-mismatch",
      variables: ["IPSEC_LOCALNET", "IPSEC_REMOTENET"],
    },
    responder: {
      message: /^traffic selectors 10\.1\.0\.0\/24 === 10\.2\.0\.0\/24 unacceptable$/,
      cause: "traffic-selector-mismatch",
      variables: ["IPSEC_LOCALNET", "IPSEC_REMOTENET"],
    },
  },
  {
    title: "networks that do not mirror each other",
    version: 1,
    gateway: { IPSEC_LOCALNET: "10.9.0.0/24" },
    initiator: {
      message: /^received INVALID_ID_INFORMATION error notify$/,
      cause: "traffic-selector-mismatch",
      variables: ["IPSEC_LOCALNET", "IPSEC_REMOTENET"],
    },
    responder: {
      message: /^no matching CHILD_SA config found for 10\.2\.0\.0\/24 === 10\.1\.0\.0\/24$/,
      cause: "traffic-selector-mismatch",
      variables: ["IPSEC_LOCALNET", "IPSEC_REMOTENET"],
    },
  },
];

// Most of their time they wait for a second attempt.
suite("what does not fit is told once, with its cause", { concurrency: 3 }, () => {
  for (const {
    title,
    version,
    gateway: environment = {},
    peer = {},
    initiator,
    responder,
  } of disagreements) {
    test(`${title}, IKEv${version}`, async () => {
      await using lab = await createLab();
      const sun = await lab.sun.peer({
        connections: [{ psk, version, ...peer }],
        charonLines: ["retransmit_timeout = 0.5"],
      });
      const changes = { IPSEC_KEYEXCHANGE: `ikev${version}`, ...environment };

      const beginning = lab.moon.gateway(
        tunnelEnvironment(lab.moon, lab.sun, { ...changes, IPSEC_START: "start" }),
      );
      await assertTold(beginning, initiator);
      assert.equal(await stop(beginning), 0);
      if (responder === undefined) return;

      const answering = lab.moon.gateway(
        tunnelEnvironment(lab.moon, lab.sun, { ...changes, IPSEC_START: "add" }),
      );
      await isReady(answering);
      // The first attempt tells; the second, which must tell nothing new, ends when the first one's time is up.
      for (const _ of [1, 2]) {
        await lab.sun.exec(["swanctl", "--initiate", "--child", "site", "--timeout", "1"]);
      }
      await assertTold(answering, responder);
      assert.equal(await stop(answering), 0);
      assert.deepEqual(
        (await sun.sas()).flatMap((sa) => sa.children),
        [],
      );
    });
  }

  for (const version of [2, 1] as const) {
    test(`a peer that does not answer, and gone once it does, IKEv${version}`, async () => {
      await using lab = await createLab();
      const partition = await lab.partition();
      const sun = await lab.sun.peer({ connections: [{ psk, version }] });
      const moon = lab.moon.gateway(
        tunnelEnvironment(lab.moon, lab.sun, { IPSEC_KEYEXCHANGE: `ikev${version}`, IPSEC_START: "start" }),
      );
      await moon.waitForOutput(/retransmit 5 of request/);
      assert.deepEqual(summaries(moon), [
        { cause: "peer-silent", variables: ["IPSEC_REMOTEIP", "IPSEC_LOCALIP"] },
      ]);
      await partition.heal();
      await sun.waitForTunnel();
      assert.equal(summaries(moon).length, 1);
      assert.equal(await stop(moon), 0);
    });
  }

  test("no IKE daemon at the peer's address", async () => {
    await using lab = await createLab();
    const moon = lab.moon.gateway(tunnelEnvironment(lab.moon, lab.sun, { IPSEC_START: "start" }));
    await moon.waitForOutput(/retransmit 5 of request/);
    assert.deepEqual(summaries(moon), [
      { cause: "peer-silent", variables: ["IPSEC_REMOTEIP", "IPSEC_LOCALIP"] },
    ]);
    assert.equal(await stop(moon), 0);
  });

  test("a peer's name that does not resolve", async () => {
    await using lab = await createLab();
    // A resolver that answers at once.
    await lab.moon.writeFile("/etc/nsswitch.conf", "hosts: files\n");
    const moon = lab.moon.gateway(
      tunnelEnvironment(lab.moon, lab.sun, {
        IPSEC_REMOTEIP: "vpn.sun.invalid",
        IPSEC_REMOTEID: lab.sun.address,
        IPSEC_START: "start",
      }),
    );
    // charon tries again by itself.
    await moon.waitForOutput(/unable to resolve vpn\.sun\.invalid.*unable to resolve vpn\.sun\.invalid/s);
    assert.deepEqual(summaries(moon), [{ cause: "name-unresolvable", variables: ["IPSEC_REMOTEIP"] }]);
    assert.equal(await stop(moon), 0);
  });

  for (const port of [500, 4500]) {
    test(`another program at UDP port ${port} is told in one line, and the start ends with 69`, async () => {
      await using lab = await createLab();
      const before = await lab.moon.snapshot();
      const holder = lab.moon.spawn([process.execPath, "-e", holding, `${port}`]);
      await holder.waitForOutput(/bound/);
      const moon = lab.moon.gateway(tunnelEnvironment(lab.moon, lab.sun));
      assert.deepEqual(await moon.exited, { exitCode: 69, signal: null });
      assert.match(moon.output(), new RegExp(`UDP port ${port} is in use`));
      assert.doesNotMatch(moon.output(), /^\s+at /m);
      assert.deepEqual(charonsIn(moon), []);
      assert.deepEqual(await lab.moon.snapshot(), before);
    });
  }
});

/** Waits until charon has said it twice, in two attempts as a rule, and looks at everything that was told until then. */
const assertTold = async (gateway: SiteProcess, verdict: Verdict): Promise<void> => {
  const says = ({ program, message }: { readonly [field: string]: unknown }) =>
    program === "charon" && verdict.message.test(`${message}`);
  const first = await gateway.waitForRecord(says);
  await gateway.waitForRecord(says, { from: gateway.records().indexOf(first) + 1 });
  assert.deepEqual(
    diagnoses(gateway).map(({ cause, variables, message }) => ({ cause, variables, message })),
    [{ cause: verdict.cause, variables: verdict.variables, message: first.message }],
  );
  assert.equal(diagnoses(gateway)[0], first);
};

const holding = `
  const socket = require("node:dgram").createSocket("udp4");
  socket.bind(Number(process.argv[1]), "0.0.0.0", () => console.log("bound"));
`;

const charonsIn = (gateway: SiteProcess) =>
  gateway.records().filter((record) => record.program === "charon" || record.event === "charon-started");

const summaries = (gateway: SiteProcess) =>
  diagnoses(gateway).map(({ cause, variables }) => ({ cause, variables }));
