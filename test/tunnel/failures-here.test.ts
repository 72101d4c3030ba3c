import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { ask, readinessOf, statusOf } from "../support/ask-gateway.ts";
import { linesOf } from "../support/environment-file.ts";
import { createLab, type Lab } from "../support/lab.ts";
import { mountedCharonConf } from "../support/mounted-charon-conf.ts";
import { diagnoses, isReady, reload, stop, tunnelEnvironment, tunnelPsk } from "../support/our-gateway.ts";
import type { Environment, SiteProcess } from "../support/site-process.ts";
import { assertDiagnosed, assertMended, assertToldOnce, type Verdict } from "../support/verdict.ts";
import { waitFor } from "../support/wait-for.ts";

const psk = Buffer.from(tunnelPsk);

const startGateway = (lab: Lab, changes: Environment = {}): SiteProcess =>
  lab.moon.gateway(tunnelEnvironment(lab.moon, lab.sun, { IPSEC_START: "start", ...changes }));

const peerSilent = { cause: "peer-silent", variables: ["IPSEC_REMOTEIP", "IPSEC_LOCALIP"] };
const noRoute = { cause: "no-route", variables: ["IPSEC_REMOTEIP", "IPSEC_LOCALIP"] };

// Most of their time they wait for a retransmission.
suite("what is wrong on the way is told once, and no more once it is mended", { concurrency: 4 }, () => {
  for (const version of [2, 1] as const) {
    test(`a peer that does not answer, IKEv${version}`, async () => {
      await using lab = await createLab();
      const partition = await lab.partition();
      await lab.sun.peer({ connections: [{ psk, version }] });
      const moon = startGateway(lab, { IPSEC_KEYEXCHANGE: `ikev${version}` });
      await moon.waitForOutput(/retransmit 5 of request/);
      await assertDiagnosed(lab.moon, moon, peerSilent);
      assert.equal((await ask(lab.moon, "/livez")).status, 200);
      await partition.heal();
      await assertMended(lab.moon);
      assertToldOnce(moon, peerSilent);
      assert.equal(await stop(moon), 0);
    });
  }

  test("no IKE daemon at the peer's address", async () => {
    await using lab = await createLab();
    const moon = startGateway(lab);
    await moon.waitForOutput(/retransmit 5 of request/);
    await assertDiagnosed(lab.moon, moon, peerSilent);
    assert.equal(await stop(moon), 0);
  });

  test("a peer's name that does not resolve", async () => {
    await using lab = await createLab();
    // A resolver that answers at once.
    await lab.moon.writeFile("/etc/nsswitch.conf", "hosts: files\n");
    const moon = startGateway(lab, { IPSEC_REMOTEIP: "vpn.sun.invalid", IPSEC_REMOTEID: lab.sun.address });
    // charon tries again by itself.
    await moon.waitForOutput(/unable to resolve vpn\.sun\.invalid.*unable to resolve vpn\.sun\.invalid/s);
    const verdict = { cause: "name-unresolvable", variables: ["IPSEC_REMOTEIP"] };
    await assertDiagnosed(lab.moon, moon, verdict);
    await lab.sun.peer({ connections: [{ psk }] });
    await lab.moon.writeFile("/etc/hosts", `${lab.sun.address} vpn.sun.invalid\n`);
    await assertMended(lab.moon);
    assertToldOnce(moon, verdict);
    assert.equal(await stop(moon), 0);
  });

  test("no route to the peer", async () => {
    await using lab = await createLab();
    await lab.moon.run(["ip", "route", "delete", "default"]);
    const moon = startGateway(lab, { IPSEC_REMOTEIP: "203.0.113.9", IPSEC_REMOTEID: "sun" });
    await assertDiagnosed(lab.moon, moon, noRoute);
    await lab.sun.peer({ connections: [{ psk, localAddress: "203.0.113.9", localId: "sun" }] });
    await lab.sun.run(["ip", "address", "add", "203.0.113.9/32", "dev", "lo"]);
    await lab.moon.run(["ip", "route", "add", "default", "via", lab.sun.address]);
    await assertMended(lab.moon);
    assertToldOnce(moon, noRoute);
    assert.equal(await stop(moon), 0);
  });

  test("an IPSEC_LOCALIP that this host does not have", async () => {
    await using lab = await createLab();
    const moon = startGateway(lab, { IPSEC_LOCALIP: "192.0.2.99" });
    await assertDiagnosed(lab.moon, moon, noRoute);
    await lab.sun.peer({ connections: [{ psk, remoteAddress: "192.0.2.99" }] });
    await lab.moon.run(["ip", "address", "add", "192.0.2.99/24", "dev", "eth0"]);
    await assertMended(lab.moon);
    assertToldOnce(moon, noRoute);
    assert.equal(await stop(moon), 0);
  });

  test("a rule of this host that drops what charon sends", async () => {
    await using lab = await createLab();
    await lab.sun.peer({ connections: [{ psk }] });
    await lab.moon.run(["nft", "-f", "-"], { input: firewall });
    const moon = startGateway(lab);
    const verdict = { cause: "blocked-by-firewall", variables: [] };
    await assertDiagnosed(lab.moon, moon, verdict);
    await lab.moon.run(["nft", "delete", "table", "inet", "strict"]);
    await assertMended(lab.moon);
    assertToldOnce(moon, verdict);
    assert.equal(await stop(moon), 0);
  });
});

test("a stranger who calls is told, and is no reason against being ready", async () => {
  await using lab = await createLab({ venus: {} });
  const moon = startGateway(lab, { IPSEC_START: "add" });
  await isReady(moon);
  await lab.venus.peer({ connections: [{ psk, remoteAddress: lab.moon.address }] });
  await lab.venus.exec(["swanctl", "--initiate", "--child", "site", "--timeout", "1"]);
  await moon.waitForRecord(({ event }) => event === "diagnosis");
  assertToldOnce(moon, unknownConnection);
  const { ready, failures, failureCounts } = await statusOf(lab.moon);
  assert.equal(ready, true);
  assert.deepEqual(
    failures.map(({ cause, connection, peer }) => ({ cause, connection, peer })),
    [{ cause: "connection-unknown", connection: undefined, peer: lab.venus.address }],
  );
  assert.deepEqual(failureCounts, [{ cause: "connection-unknown", count: 1 }]);
  const readiness = await readinessOf(lab.moon);
  assert.deepEqual({ status: readiness.status, reasons: readiness.reasons }, { status: 200, reasons: [] });
  assert.deepEqual(readiness.failures, failures);
  assert.equal(await stop(moon), 0);
});

test("of a connection that a reload takes away no failure is told any more", async () => {
  await using lab = await createLab();
  const named = (name: string) => ({ IPSEC_NAME: name, IPSEC_START: "start" });
  const write = (name: string) =>
    lab.moon.writeFile("/etc/moon.env", linesOf(tunnelEnvironment(lab.moon, lab.sun, named(name))), 0o600);
  await write("site");
  const moon = lab.moon.gateway({ ENVFILE: "/etc/moon.env" });
  await isReady(moon);
  await assertDiagnosed(lab.moon, moon, peerSilent);
  await write("berlin");
  await reload(moon);
  const { connections, failures, reasons } = await statusOf(lab.moon);
  assert.deepEqual(
    connections.map(({ name }) => name),
    ["berlin"],
  );
  assert.deepEqual(
    failures.filter(({ connection }) => connection !== "berlin"),
    [],
  );
  assert.match(reasons.join(), /^berlin to /);
  assert.equal(await stop(moon), 0);
});

const unknownConnection = {
  cause: "connection-unknown",
  variables: ["IPSEC_REMOTEIP", "IPSEC_LOCALIP", "IPSEC_KEYEXCHANGE"],
};

test("a group that only the peer prefers is mentioned, and is no failure once the tunnel is up", async () => {
  await using lab = await createLab();
  await lab.sun.peer({ connections: [{ psk, proposals: "aes128gcm16-prfsha256-ecp521" }] });
  const moon = startGateway(lab);
  await isReady(moon);
  await assertMended(lab.moon);
  assert.deepEqual(
    diagnoses(moon).map(({ level, cause }) => ({ level, cause })),
    [{ level: "info", cause: "key-exchange-retried" }],
  );
  assert.equal(await stop(moon), 0);
});

const proposals = "aes192-sha256-modp3072";
const goodSecrets = `192.0.2.1 192.0.2.2 : PSK "${tunnelPsk}"\n`;

type Mistake = Verdict & {
  readonly title: string;
  /** Lines of the connection `site`, in ipsec.conf(5)'s terms. */
  readonly lines?: readonly string[];
  readonly secrets?: string;
};

const mistakes: readonly Mistake[] = [
  {
    title: "no secret for the two identities",
    secrets: "",
    cause: "psk-not-found",
    variables: ["IPSEC_LOCALID", "IPSEC_REMOTEID", "IPSEC_PSK", "IPSEC_AUTH"],
  },
  {
    title: "a secret that cannot be read",
    secrets: `192.0.2.1 192.0.2.2 PSK "${tunnelPsk}"\n`,
    cause: "secrets-unreadable",
    variables: ["IPSEC_PSK", "IPSEC_USE_MANUAL_CONFIG"],
    ofDaemon: true,
  },
  {
    title: "a line that strongSwan does not understand",
    lines: ["lifetime=1.5h"],
    cause: "configuration-invalid",
    variables: ["IPSEC_USE_MANUAL_CONFIG", "IPSEC_MANUAL_CHARON"],
  },
  {
    title: "an algorithm that strongSwan does not know",
    lines: ["esp=aes256-coffee!"],
    cause: "proposal-invalid",
    variables: ["IPSEC_IKECIPHER", "IPSEC_ESPCIPHER"],
  },
  {
    title: "a trap for a peer whose address is not known",
    lines: ["right=%any", "auto=route"],
    cause: "trap-impossible",
    variables: ["IPSEC_REMOTEIP", "IPSEC_START"],
  },
];

suite("what is wrong in mounted files is told, and no more after a reload of corrected ones", {
  concurrency: 4,
}, () => {
  for (const { title, lines = [], secrets = goodSecrets, ...verdict } of mistakes) {
    test(title, async () => {
      await using lab = await createLab();
      await lab.sun.peer({ connections: [{ psk, proposals, espProposals: proposals }] });
      const mount = async (connectionLines: readonly string[], text: string): Promise<void> => {
        await lab.moon.writeFile("/etc/ipsec.config.d/ipsec.site.conf", connection(connectionLines));
        await lab.moon.writeFile("/etc/ipsec.secrets.d/ipsec.site.secrets", text, 0o600);
      };
      await mount(lines, secrets);
      const moon = lab.moon.gateway({ IPSEC_USE_MANUAL_CONFIG: "yes" });
      await isReady(moon);
      await assertDiagnosed(lab.moon, moon, verdict);
      await mount([], goodSecrets);
      await reload(moon);
      await waitFor("the connection to be loaded", async () =>
        (await statusOf(lab.moon)).connections.some(({ name }) => name === "site") ? true : undefined,
      );
      // Of a mounted connection charon alone decides when it tries again.
      await lab.sun.exec(["swanctl", "--initiate", "--child", "site", "--timeout", "1"]);
      await assertMended(lab.moon);
      assertToldOnce(moon, verdict);
      assert.equal(await stop(moon), 0);
    });
  }
});

/** Later lines win over earlier ones. */
const connection = (lines: readonly string[]): string => `conn site
  keyexchange=ikev2
  left=192.0.2.1
  leftsubnet=10.1.0.0/24
  right=192.0.2.2
  rightsubnet=10.2.0.0/24
  authby=secret
  ike=${proposals}!
  esp=${proposals}!
  auto=start
${lines.map((line) => `  ${line}\n`).join("")}`;

for (const port of [500, 4500]) {
  test(`another program at UDP port ${port} is told in one line, and the start ends with 69`, async () => {
    await using lab = await createLab();
    const before = await lab.moon.snapshot();
    await holdPort(lab, port);
    const moon = startGateway(lab);
    assert.deepEqual(await moon.exited, { exitCode: 69, signal: null });
    assert.match(moon.output(), new RegExp(`UDP port ${port} is in use`));
    assert.doesNotMatch(moon.output(), /^\s+at /m);
    assert.deepEqual(charonsIn(moon), []);
    assert.deepEqual(await lab.moon.snapshot(), before);
  });
}

test("another program at UDP port 500 is told as a failure of the daemon where a mounted charon.conf could have moved it", async () => {
  await using lab = await createLab();
  await lab.moon.writeFile("/etc/strongswan.d/charon.conf", mountedCharonConf(lab));
  await holdPort(lab, 500);
  const moon = startGateway(lab, { IPSEC_MANUAL_CHARON: "yes", IPSEC_START: "add" });
  await isReady(moon);
  await assertDiagnosed(lab.moon, moon, {
    cause: "port-in-use",
    variables: ["IPSEC_INTERFACES"],
    ofDaemon: true,
  });
  assert.equal(await stop(moon), 0);
});

const holdPort = async (lab: Lab, port: number): Promise<void> => {
  const holder = lab.moon.spawn([process.execPath, "-e", holding, `${port}`]);
  await holder.waitForOutput(/bound/);
};

const holding = `
  const socket = require("node:dgram").createSocket("udp4");
  socket.bind(Number(process.argv[1]), "0.0.0.0", () => console.log("bound"));
`;

const charonsIn = (gateway: SiteProcess) =>
  gateway.records().filter((record) => record.program === "charon" || record.event === "charon-started");

const firewall = `
table inet strict {
  chain output {
    type filter hook output priority 0; policy accept;
    udp dport { 500, 4500 } drop
  }
}
`;

test("an algorithm that the installed strongSwan is too old or too new for is refused before anything is touched", async () => {
  await using lab = await createLab();
  const { moon, sun } = lab;
  const before = await moon.snapshot();
  const installed = await moon.run(["/usr/lib/ipsec/charon", "--version"]);
  const keyword = /strongSwan U?5/.test(installed) ? "ke1_mlkem768" : "ntru256";
  const changes = {
    IPSEC_IKECIPHER: `aes256-sha256-modp3072${keyword === "ntru256" ? ",aes256-sha256-ntru256" : `-${keyword}`}`,
  };
  const gateway = moon.gateway(tunnelEnvironment(moon, sun, changes));
  assert.equal((await gateway.exited).exitCode, 69, gateway.output());
  assert.match(
    gateway.stderr(),
    new RegExp(`^vnf-ipsec: error: ${keyword} (?:needs strongSwan|is not in strongSwan since) 6`, "m"),
  );
  assert.deepEqual(await moon.snapshot(), before);
});
