import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import type { GatewayStatus } from "../../src/status/status-schema.ts";
import { ask, command, isShownReady, statusOf } from "../support/ask-gateway.ts";
import { createLab, type Lab } from "../support/lab.ts";
import { isReady, stop, tunnelEnvironment, tunnelPsk } from "../support/our-gateway.ts";
import { assertPublished, violations } from "../support/published-schema.ts";
import type { Environment, SiteProcess } from "../support/site-process.ts";
import { charonOf } from "../support/traces.ts";
import { waitFor } from "../support/wait-for.ts";

const psk = Buffer.from(tunnelPsk);

const startGateway = (lab: Lab, changes: Environment = {}): SiteProcess =>
  lab.moon.gateway(tunnelEnvironment(lab.moon, lab.sun, { IPSEC_START: "start", ...changes }));

test("what status --json tells of a tunnel is what the peer has, and it fits the published schema", async () => {
  await using lab = await createLab();
  const sun = await lab.sun.peer({ connections: [{ psk }] });
  const moon = startGateway(lab);
  await isReady(moon);
  await isShownReady(lab.moon);
  assert.equal((await lab.moon.ping(lab.sun.host, { count: 5, size: 100 })).received, 5);
  const status = await statusOf(lab.moon);
  assertPublished(status);
  const { connections, gateway, daemon, ...rest } = status;
  assert.deepEqual(rest, {
    version: 1,
    live: true,
    ready: true,
    reasons: [],
    failures: [],
    failureCounts: [],
  });
  assert.deepEqual([gateway.configuration, gateway.dataplane], ["variables", lab.dataPlane]);
  assert.deepEqual([daemon.state, daemon.pid, daemon.restarts], ["running", charonOf(moon), 0]);
  const [connection, ...more] = connections;
  const [child, ...others] = connection?.children ?? [];
  assert.deepEqual([...more, ...others], []);
  assert.ok(connection?.ikeSa !== undefined && child?.sa !== undefined);
  const [sa] = await sun.sas();
  const [peerChild] = sa?.children ?? [];
  assert.ok(sa !== undefined && peerChild !== undefined);
  assert.deepEqual(
    [connection.local.address, connection.local.port, connection.local.identity, connection.local.behindNat],
    [sa.fields["remote-host"], Number(sa.fields["remote-port"]), sa.fields["remote-id"], false],
  );
  assert.deepEqual(
    [connection.remote.address, connection.remote.identity],
    [sa.fields["local-host"], sa.fields["local-id"]],
  );
  assert.deepEqual(connection.ikeSa.algorithms, {
    encryption: sa.fields["encr-alg"],
    encryptionKeyLength: Number(sa.fields["encr-keysize"]),
    prf: sa.fields["prf-alg"],
    keyExchange: sa.fields["dh-group"],
  });
  assert.deepEqual([connection.ikeSa.version, connection.ikeSa.initiator], ["2", true]);
  assert.deepEqual(
    [child.sa.spiIn, child.sa.spiOut, child.localNetworks, child.remoteNetworks, child.sa.inUdp],
    [peerChild["spi-out"], peerChild["spi-in"], lab.moon.networks, lab.sun.networks, true],
  );
  // 20 bytes of IP and 8 of ICMP around the 100.
  assert.deepEqual(child.traffic, { bytesIn: 640, bytesOut: 640, packetsIn: 5, packetsOut: 5 });
  assert.deepEqual([child.state, child.ups, child.rekeys, connection.rekeys], ["up", 1, 0, 0]);
  const now = Date.now();
  const times = [gateway.startedAt, child.since, connection.lastHandshakeAt, child.sa.lastPacketInAt];
  for (const time of times) assert.ok(Math.abs(now - Date.parse(`${time}`)) < 30_000, time);
  const hour = 3_600_000;
  for (const time of [child.sa.rekeyAt, child.sa.expiresAt])
    assert.ok(Date.parse(`${time}`) > now && Date.parse(`${time}`) <= now + hour, time);
  assert.equal(await stop(moon), 0);
});

test("status is right again after a death of charon, and counts on; it tells while charon is away", async () => {
  await using lab = await createLab();
  await lab.sun.peer({ connections: [{ psk }] });
  const moon = startGateway(lab);
  await isReady(moon);
  await isShownReady(lab.moon);
  await lab.moon.ping(lab.sun.host, { count: 4 });
  const [before] = (await statusOf(lab.moon)).connections[0]?.children ?? [];
  process.kill(charonOf(moon), "SIGKILL");
  const away = await waitFor("charon to be away", async () => {
    const status = JSON.parse((await ask(lab.moon, "/status")).body) as GatewayStatus;
    return status.daemon.state === "starting" ? status : undefined;
  });
  assertPublished(away);
  assert.deepEqual(
    [away.live, away.ready, away.reasons, away.daemon.pid, away.connections[0]?.state],
    [true, false, ["the IKE daemon is starting"], undefined, "down"],
  );
  await isShownReady(lab.moon);
  await lab.moon.ping(lab.sun.host, { count: 3 });
  const after = await statusOf(lab.moon);
  assertPublished(after);
  const [child] = after.connections[0]?.children ?? [];
  assert.deepEqual([after.daemon.restarts, after.daemon.pid, child?.ups], [1, charonOf(moon), 2]);
  assert.equal(child?.traffic.packetsOut, Number(before?.traffic.packetsOut) + 3);
  assert.equal(await stop(moon), 0);
});

test("what waits is ready, in status and in its words, and fits the published schema", async () => {
  await using lab = await createLab();
  const moon = startGateway(lab, { IPSEC_START: "add" });
  await isReady(moon);
  const status = await statusOf(lab.moon);
  assertPublished(status);
  const [connection] = status.connections;
  assert.deepEqual([status.ready, connection?.state], [true, "waiting-for-peer"]);
  assert.deepEqual(connection?.remote, { address: lab.sun.address, identity: lab.sun.address });
  assert.match((await command(lab.moon, "status")).stdout, /waiting for the peer/);
  assert.equal(await stop(moon), 0);
});

test("an IKEv1 connection with several networks is one connection with all its tunnels", async () => {
  await using lab = await createLab({
    moon: { networks: ["10.1.0.0/24", "10.1.8.0/22"] },
    sun: { networks: ["10.2.0.0/24", "172.16.5.4/32"] },
  });
  await lab.sun.peer({ connections: [{ psk, version: 1 }] });
  const moon = startGateway(lab, { IPSEC_KEYEXCHANGE: "ikev1" });
  await isReady(moon);
  await isShownReady(lab.moon);
  const status = await statusOf(lab.moon);
  assertPublished(status);
  assert.deepEqual(
    status.connections.map(({ name, state, ikeSa }) => [name, state, ikeSa?.version]),
    [["site", "up", "1"]],
  );
  assert.deepEqual(
    status.connections[0]?.children.map(({ state, localNetworks, remoteNetworks }) =>
      [state, ...localNetworks, ...remoteNetworks].join(" "),
    ),
    [
      "up 10.1.0.0/24 10.2.0.0/24",
      "up 10.1.0.0/24 172.16.5.4/32",
      "up 10.1.8.0/22 10.2.0.0/24",
      "up 10.1.8.0/22 172.16.5.4/32",
    ],
  );
  assert.equal(await stop(moon), 0);
});

test("mounted connections are told by their own names", async () => {
  await using lab = await createLab();
  await lab.sun.peer({ connections: [{ psk }] });
  await lab.moon.writeFile("/etc/ipsec.config.d/ipsec.own.conf", mounted);
  await lab.moon.writeFile(
    "/etc/ipsec.secrets.d/own.secrets",
    `192.0.2.1 192.0.2.2 : PSK "${tunnelPsk}"\n`,
    0o600,
  );
  const moon = lab.moon.gateway({ IPSEC_USE_MANUAL_CONFIG: "yes" });
  await isReady(moon);
  await isShownReady(lab.moon);
  const status = await waitFor("berlin to be up", async () => {
    const told = await statusOf(lab.moon);
    return told.connections.some(({ state }) => state === "up") ? told : undefined;
  });
  assertPublished(status);
  assert.equal(status.gateway.configuration, "manual");
  assert.deepEqual(
    status.connections.map(({ name, state, remote, children }) => [
      name,
      state,
      remote.address,
      ...children.flatMap(({ localNetworks, remoteNetworks }) => [...localNetworks, ...remoteNetworks]),
    ]),
    [
      ["berlin", "up", "192.0.2.2", "10.1.0.0/24", "10.2.0.0/24"],
      ["paris", "waiting-for-peer", "192.0.2.3", "10.1.0.0/24", "10.3.0.0/24"],
    ],
  );
  assert.equal(await stop(moon), 0);
});

const mounted = `conn %default
  keyexchange=ikev2
  authby=secret
  left=192.0.2.1
  leftsubnet=10.1.0.0/24
  ike=aes192gcm16-prfsha256-ecp256!
  esp=aes192gcm16-ecp256!

conn berlin
  right=192.0.2.2
  rightsubnet=10.2.0.0/24
  auto=start

conn paris
  right=192.0.2.3
  rightsubnet=10.3.0.0/24
  auto=add
`;

test("where no gateway runs, status says so and ends with 69, and healthcheck with 1", async () => {
  await using lab = await createLab();
  for (const args of [["status"], ["status", "--json"], ["status", "--watch"]]) {
    const { exitCode, stdout, stderr } = await command(lab.moon, ...args);
    assert.deepEqual([exitCode, stdout], [69, ""]);
    assert.match(stderr, /^vnf-ipsec: error: no gateway runs here\nvnf-ipsec: hint: \S[^\n]*\n$/);
  }
  const { exitCode, stdout, stderr } = await command(lab.moon, "healthcheck");
  assert.deepEqual([exitCode, stdout, stderr], [1, "no gateway runs here\n", ""]);
});

test("the published schema refuses what is not a status", () => {
  assert.notDeepEqual(violations({}), []);
  assert.notDeepEqual(violations({ version: 2 }), []);
});
