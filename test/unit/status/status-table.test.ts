import assert from "node:assert/strict";
import { test } from "node:test";
import { stripVTControlCharacters } from "node:util";
import type { GatewayStatus } from "../../../src/status/status-schema.ts";
import { renderStatus } from "../../../src/status/status-table.ts";

const now = Date.parse("2026-11-23T12:00:00Z");
const before = (seconds: number): string => new Date(now - seconds * 1000).toISOString();

const status: GatewayStatus = {
  version: 1,
  gateway: { version: "1.0.0", startedAt: before(90_061), dataplane: "kernel", configuration: "variables" },
  daemon: { state: "running", since: before(3_600), pid: 42, version: "5.9.8", restarts: 2 },
  live: true,
  ready: false,
  reasons: ["other to sun.example.com is down: peer-silent: no packet of the peer arrives (IPSEC_REMOTEIP)"],
  connections: [
    {
      name: "site",
      state: "up",
      local: { address: "2001:db8::1", port: 4500, identity: "2001:db8::1", behindNat: false },
      remote: { address: "192.0.2.2", port: 1024, identity: "sun.example.com", behindNat: true },
      lastHandshakeAt: before(61),
      rekeys: 0,
      ikeSa: {
        uniqueId: "1",
        version: "2",
        initiator: true,
        establishedAt: before(61),
        reauthenticateAt: before(-7_200),
        algorithms: {
          encryption: "AES_GCM_16",
          encryptionKeyLength: 192,
          prf: "PRF_HMAC_SHA2_256",
          keyExchange: "ECP_256",
        },
      },
      children: [
        {
          name: "site",
          state: "up",
          since: before(61),
          localNetworks: [
            "10.1.0.0/16",
            "10.11.0.0/16",
            "10.12.0.0/16",
            "10.13.0.0/16",
            "10.14.0.0/16",
            "10.15.0.0/16",
          ],
          remoteNetworks: ["10.2.0.0/16"],
          interface: "vti42",
          traffic: { bytesIn: 1_572_864, bytesOut: 84, packetsIn: 1_200, packetsOut: 1 },
          ups: 1,
          rekeys: 0,
          sa: {
            spiIn: "c1",
            spiOut: "c2",
            rekeyAt: before(-1_799),
            lastPacketInAt: before(2),
            inUdp: true,
            algorithms: { encryption: "AES_GCM_16", encryptionKeyLength: 192 },
          },
        },
      ],
    },
    {
      name: "other",
      state: "down",
      local: { address: "%any" },
      remote: { address: "sun.example.com" },
      rekeys: 0,
      children: [
        {
          name: "other",
          state: "down",
          localNetworks: ["10.1.0.0/16"],
          remoteNetworks: ["10.3.0.0/16"],
          traffic: { bytesIn: 0, bytesOut: 0, packetsIn: 0, packetsOut: 0 },
          ups: 0,
          rekeys: 0,
        },
      ],
    },
  ],
  failures: [
    {
      cause: "peer-silent",
      severity: "error",
      connection: "other",
      since: before(5),
      variables: ["IPSEC_REMOTEIP"],
      meaning: "no packet of the peer arrives",
      remedy: "see that UDP ports 500 and 4500 are open at the peer and on the way to it, in both directions",
      values: { remoteAddress: "203.0.113.9\u001b[2J" },
    },
  ],
  failureCounts: [{ cause: "peer-silent", connection: "other", count: 1 }],
};

const table = `vnf-ipsec 1.0.0, up 1 d 1 h; ESP in the kernel
strongSwan 5.9.8 running for 1 h, started again 2 times
not ready
                 other to sun.example.com is down: peer-silent: no packet of the
                 peer arrives (IPSEC_REMOTEIP)

site  up
  ends           [2001:db8::1]:4500 - 192.0.2.2:1024 (NAT, or UDP forced)
  identities     2001:db8::1 - sun.example.com
  ike            IKEv2 as initiator, AES_GCM_16-192/PRF_HMAC_SHA2_256/ECP_256,
                 authenticates again in 2 h, last handshake 1 min 1 s ago
  tunnel         up for 1 min 1 s, over vti42
  from           10.1.0.0/16, 10.11.0.0/16, 10.12.0.0/16, 10.13.0.0/16,
                 10.14.0.0/16, 10.15.0.0/16
  to             10.2.0.0/16
  in             1.5 MiB in 1200 packets, last 2 s ago
  out            84 B in 1 packet
  esp            AES_GCM_16-192, in UDP, new keys in 29 min 59 s

other  down
  ends           %any - sun.example.com
  tunnel         down
  from           10.1.0.0/16
  to             10.3.0.0/16

other: peer-silent, since 5 s
                 no packet of the peer arrives
  look at        IPSEC_REMOTEIP
  remote address 203.0.113.9?[2J
  remedy         see that UDP ports 500 and 4500 are open at the peer and on the
                 way to it, in both directions
`;

test("the status is one block a connection and failure, no line of which is wider than 80 columns", () => {
  const text = renderStatus(status, { now, hasColors: false });
  assert.equal(text, table);
  for (const line of text.split("\n")) assert.ok(line.length <= 80, line);
});

test("colours change nothing but the colour", () => {
  const coloured = renderStatus(status, { now, hasColors: true });
  assert.notEqual(coloured, table);
  assert.equal(stripVTControlCharacters(coloured), table);
});
