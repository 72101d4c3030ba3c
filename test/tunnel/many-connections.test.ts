import assert from "node:assert/strict";
import { test } from "node:test";
import { statusOf } from "../support/ask-gateway.ts";
import { backendUnderTest } from "../support/backend-under-test.ts";
import { createLab, type Lab } from "../support/lab.ts";
import { connectionsFile, manyNetworks, peerOfMany } from "../support/many-connections.ts";
import { hasTunnels, isReady, reload, stop } from "../support/our-gateway.ts";
import type { Peer } from "../support/peer.ts";
import { waitFor } from "../support/wait-for.ts";

const count = 100;
const changed = 50;

test("a reload that changes one of 100 connections loses no ping on the others", async () => {
  await using lab = await createLab({ sun: { networks: manyNetworks(count) } });
  const sun = await lab.sun.peer(peerOfMany(lab));
  await writeConnections(lab, {});
  const gateway = lab.moon.gateway({ IPSEC_CONFIG_FILE: configFile, ...backendUnderTest });
  await isReady(gateway);
  const before = await installedAt(sun, (names) => names.size === count);

  const pings = [0, changed - 1, changed + 1, count - 1].map((index) =>
    lab.moon.continuousPing(lab.sun.hosts[index] as string, { intervalSeconds: 0.05 }),
  );
  for (const ping of pings) await ping.waitForAnswer();
  await writeConnections(lab, { [`site-${changed}`]: { lifetime: "2h" } });
  await reload(gateway);
  const after = await installedAt(
    sun,
    (names) => names.size === count && names.get(`site-${changed}`) !== before.get(`site-${changed}`),
  );
  for (const ping of pings) {
    await ping.waitForAnswer();
    assert.deepEqual((await ping.stop()).missing, []);
  }
  assert.equal((await lab.moon.ping(lab.sun.hosts[changed] as string)).received, 3);
  const others = (names: ReadonlyMap<string, string>) =>
    [...names].filter(([name]) => name !== `site-${changed}`);
  assert.deepEqual(others(after).toSorted(), others(before).toSorted());
  assert.equal(await stop(gateway), 0);
});

test("a peer that never answers keeps no other tunnel from coming up again", async () => {
  await using lab = await createLab({ sun: { networks: manyNetworks(1) } });
  const sun = await lab.sun.peer(peerOfMany(lab));
  const silent = { localid: "moon.example.com", remoteip: "192.0.2.99", remotenet: "10.9.0.0/24" };
  const { connections, ...rest } = JSON.parse(connectionsFile(lab));
  const content = JSON.stringify({ ...rest, connections: { silent, ...connections } });
  await lab.moon.writeFile(configFile, content, 0o600);
  const gateway = lab.moon.gateway({ IPSEC_CONFIG_FILE: configFile, ...backendUnderTest });
  await hasTunnels(gateway);
  await isReady(gateway);
  const before = await installedAt(sun, (names) => names.size === 1);
  await sun.swanctl("--terminate", "--ike", "site-0");
  await installedAt(sun, (names) => names.size === 1 && names.get("site-0") !== before.get("site-0"));
  const states = (await statusOf(lab.moon)).connections.map(({ name, state }) => [name, state]);
  assert.deepEqual(states, [
    ["silent", "connecting"],
    ["site-0", "up"],
  ]);
  assert.equal(await stop(gateway), 0);
});

const configFile = "/etc/connections.yaml";

const writeConnections = (lab: Lab, changes: Readonly<Record<string, object>>): Promise<void> =>
  lab.moon.writeFile(configFile, connectionsFile(lab, changes), 0o600);

/** Resolves with the inbound SPI of the peer for each tunnel, once they are as wanted. */
const installedAt = (
  sun: Peer,
  areWanted: (names: ReadonlyMap<string, string>) => boolean,
): Promise<ReadonlyMap<string, string>> =>
  waitFor(
    "the tunnels",
    async () => {
      const children = (await sun.sas()).flatMap((sa) => sa.children);
      const names = new Map(children.map((child) => [`${child["name"]}`, `${child["spi-in"]}`]));
      return areWanted(names) ? names : undefined;
    },
    { explain: sun.output },
  );
