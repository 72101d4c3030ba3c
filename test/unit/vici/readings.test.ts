import assert from "node:assert/strict";
import { test } from "node:test";
import {
  readIkeSas,
  readLoadedConnections,
  readPolicyChildren,
  readRekeyedChildren,
} from "../../../src/vici/readings.ts";

// As strongSwan 5.9.8 sends them.
const childSa = {
  name: "site",
  uniqueid: "3",
  reqid: "1",
  state: "INSTALLED",
  mode: "TUNNEL",
  protocol: "ESP",
  encap: "yes",
  "spi-in": "c6a1f2b8",
  "spi-out": "c4e2a1d9",
  "encr-alg": "AES_CBC",
  "encr-keysize": "192",
  "integ-alg": "HMAC_SHA2_256_128",
  "dh-group": "MODP_3072",
  "bytes-in": "840",
  "packets-in": "10",
  "use-in": "2",
  "bytes-out": "924",
  "packets-out": "11",
  "rekey-time": "2500",
  "life-time": "3550",
  "install-time": "50",
  "local-ts": ["10.1.0.0/24"],
  "remote-ts": ["10.2.0.0/24", "10.3.0.0/24"],
};

const ikeSa = {
  uniqueid: "1",
  version: "1",
  state: "ESTABLISHED",
  "local-host": "192.0.2.1",
  "local-port": "4500",
  "local-id": "moon.example.org",
  "remote-host": "192.0.2.2",
  "remote-port": "4500",
  "remote-id": "192.0.2.2",
  initiator: "yes",
  "responder-spi": "2b1c0d9e8f7a6b5c",
  "nat-remote": "yes",
  "encr-alg": "AES_CBC",
  "encr-keysize": "192",
  "integ-alg": "HMAC_SHA2_256_128",
  "prf-alg": "PRF_HMAC_SHA2_256",
  "dh-group": "MODP_3072",
  established: "50",
  "reauth-time": "9000",
  "child-sas": { "site-3": childSa },
};

test("an IKE SA is read with its CHILD SAs; what charon does not say is absent", () => {
  const [sa, ...more] = readIkeSas({ up: "yes", site: ikeSa });
  assert.deepEqual(more, []);
  assert.deepEqual(sa, {
    connection: "site",
    uniqueId: "1",
    version: "1",
    state: "ESTABLISHED",
    initiator: true,
    peerAnswered: true,
    negotiating: false,
    local: { address: "192.0.2.1", port: 4500, identity: "moon.example.org", behindNat: false },
    remote: { address: "192.0.2.2", port: 4500, identity: "192.0.2.2", behindNat: true },
    establishedSeconds: 50,
    reauthenticateSeconds: 9000,
    algorithms: {
      encryption: "AES_CBC",
      encryptionKeyLength: 192,
      integrity: "HMAC_SHA2_256_128",
      prf: "PRF_HMAC_SHA2_256",
      keyExchange: "MODP_3072",
    },
    children: [
      {
        name: "site",
        uniqueId: "3",
        state: "INSTALLED",
        spiIn: "c6a1f2b8",
        spiOut: "c4e2a1d9",
        inUdp: true,
        algorithms: {
          encryption: "AES_CBC",
          encryptionKeyLength: 192,
          integrity: "HMAC_SHA2_256_128",
          keyExchange: "MODP_3072",
        },
        bytesIn: 840,
        bytesOut: 924,
        packetsIn: 10,
        packetsOut: 11,
        unusedInSeconds: 2,
        rekeySeconds: 2500,
        lifeSeconds: 3550,
        installedSeconds: 50,
        localNetworks: ["10.1.0.0/24"],
        remoteNetworks: ["10.2.0.0/24", "10.3.0.0/24"],
      },
    ],
  });
});

test("an IKE SA that has only begun, and numbers that are none, are read as far as they go", () => {
  const [sa] = readIkeSas({ site: { state: "CONNECTING", "remote-port": "x", version: "2" } });
  assert.deepEqual(sa, {
    connection: "site",
    uniqueId: "",
    version: "2",
    state: "CONNECTING",
    initiator: false,
    peerAnswered: true,
    negotiating: true,
    local: { address: "", identity: "", behindNat: false },
    remote: { address: "", identity: "", behindNat: false },
    algorithms: {},
    children: [],
  });
});

test("who was called has answered once its SPI is known; a tunnel is on its way while a task for it is", () => {
  const begun = { ...ikeSa, "responder-spi": "0000000000000000" };
  for (const [section, peerAnswered, negotiating] of [
    [begun, false, false],
    [{ ...begun, "responder-spi": "2b1c0d9e8f7a6b5c", state: "CONNECTING" }, true, true],
    [{ ...begun, initiator: "no" }, true, false],
    [{ ...ikeSa, "tasks-active": ["IKE_DPD"], "tasks-queued": ["CHILD_CREATE"] }, true, true],
    [{ ...ikeSa, "tasks-active": ["QUICK_MODE"] }, true, true],
    [{ ...ikeSa, "tasks-active": ["CHILD_REKEY"] }, true, false],
  ] as const) {
    const [sa] = readIkeSas({ site: section });
    assert.deepEqual(
      [sa?.peerAnswered, sa?.negotiating],
      [peerAnswered, negotiating],
      JSON.stringify(section),
    );
  }
});

test("of a renewal the CHILD SAs before and after are read", () => {
  const renewed = { ...childSa, uniqueid: "4", "spi-in": "c0000004" };
  const message = { site: { ...ikeSa, "child-sas": { site: { old: childSa, new: renewed } } } };
  assert.deepEqual(
    readRekeyedChildren(message).map(({ before, after }) => [before.uniqueId, after.uniqueId, after.spiIn]),
    [["3", "4", "c0000004"]],
  );
  assert.deepEqual(readRekeyedChildren({ site: { ...ikeSa, "child-sas": { site: { old: childSa } } } }), []);
});

test("a loaded connection is read with its ends and networks, and the names of policies", () => {
  const loaded = readLoadedConnections({
    site: {
      local_addrs: ["192.0.2.1"],
      remote_addrs: ["vpn.example.org"],
      version: "IKEv2",
      "local-1": { class: "pre-shared key", id: "192.0.2.1" },
      "remote-1": { class: "pre-shared key", id: "sun" },
      children: { site: { mode: "TUNNEL", "local-ts": ["10.1.0.0/24"], "remote-ts": ["10.2.0.0/24"] } },
    },
    other: { local_addrs: ["%any"], remote_addrs: ["%any"], children: {} },
  });
  assert.deepEqual(loaded, [
    {
      name: "site",
      localAddresses: ["192.0.2.1"],
      remoteAddresses: ["vpn.example.org"],
      localIdentity: "192.0.2.1",
      remoteIdentity: "sun",
      children: [{ name: "site", localNetworks: ["10.1.0.0/24"], remoteNetworks: ["10.2.0.0/24"] }],
    },
    { name: "other", localAddresses: ["%any"], remoteAddresses: ["%any"], children: [] },
  ]);
  assert.deepEqual(readPolicyChildren({ "site/site": { child: "site", ike: "site", mode: "TUNNEL" } }), [
    "site",
  ]);
});
