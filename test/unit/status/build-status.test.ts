import assert from "node:assert/strict";
import { test } from "node:test";
import { buildGateway } from "../../../src/gateway/from-settings.ts";
import { diagnosisOf } from "../../../src/observe/diagnosis.ts";
import type { Finding } from "../../../src/observe/diagnostician.ts";
import { parseSettings } from "../../../src/settings/parse-settings.ts";
import { buildStatus, type Observed } from "../../../src/status/build-status.ts";
import { createLedger } from "../../../src/status/ledger.ts";
import { statusSchema } from "../../../src/status/status-schema.ts";
import type { LoadedConnection } from "../../../src/vici/readings.ts";
import { environmentOf, minimal } from "../../support/environment-of.ts";
import { ikeSa, sa } from "./sas.ts";

const now = Date.parse("2026-11-23T12:00:00Z");

const gatewayOf = (environment: Record<string, string> = {}) => {
  const { settings } = parseSettings(environmentOf({ ...minimal, ...environment }), "gateway");
  assert.ok(settings);
  return buildGateway(settings);
};

const loadedSite: LoadedConnection = {
  name: "site",
  localAddresses: ["192.0.2.1"],
  remoteAddresses: ["192.0.2.2"],
  localIdentity: "192.0.2.1",
  remoteIdentity: "192.0.2.2",
  children: [{ name: "site", localNetworks: ["10.1.0.0/16"], remoteNetworks: ["10.2.0.0/16"] }],
};

const observed = (differs: Partial<Observed> = {}): Observed => ({
  now,
  version: "1.0.0",
  startedAt: now - 60_000,
  dataplane: "kernel",
  manual: false,
  gateway: gatewayOf(),
  daemon: { state: "running", since: now - 50_000, pid: 7, restarts: 0 },
  loaded: [loadedSite],
  sas: [],
  trapped: new Set(),
  ledger: createLedger(),
  handshakes: new Map(),
  ikeRekeys: new Map(),
  failures: [],
  failureCounts: [],
  ...differs,
});

const failureOf = (differs: Partial<Finding>) => ({
  finding: { ...diagnosisOf({ cause: "peer-silent" }, {}), ...differs } satisfies Finding,
  since: now - 1_000,
});

const summary = (differs: Partial<Observed>) => {
  const status = buildStatus(observed(differs));
  statusSchema.parse(status);
  return [status.connections.map(({ state }) => state).join(), status.ready ? "ready" : "not ready"];
};

test("a connection with an installed CHILD SA is up, and ready even while its renewal fails", () => {
  const failures = [failureOf({ connection: "site" })];
  assert.deepEqual(summary({ sas: [ikeSa([sa({})])], failures }), ["up", "ready"]);
  assert.deepEqual(summary({ sas: [ikeSa([sa({ state: "REKEYED" })])] }), ["up", "ready"]);
});

test("one that waits for traffic is ready until it fails", () => {
  const trapped = new Set(["site"]);
  assert.deepEqual(summary({ trapped }), ["waiting-for-traffic", "ready"]);
  const failing = observed({ trapped, failures: [failureOf({ connection: "site" })] });
  assert.deepEqual(buildStatus(failing).reasons, [
    "site to 192.0.2.2 is waiting for traffic: peer-silent: " +
      `${failing.failures[0]?.finding.meaning} (${failing.failures[0]?.finding.variables.join(", ")})`,
  ]);
});

test("one that was to wait for traffic and has no trap, or was to be up at once and is not, is down", () => {
  assert.deepEqual(summary({}), ["down", "not ready"]);
  const gateway = gatewayOf({ IPSEC_START: "route,start" });
  assert.deepEqual(summary({ gateway, trapped: new Set(["site"]) }), ["down", "not ready"]);
});

test("one that only the peer starts waits for it, and is ready", () => {
  assert.deepEqual(summary({ gateway: gatewayOf({ IPSEC_START: "add" }) }), ["waiting-for-peer", "ready"]);
});

test("one whose IKE SA is being made is connecting, and not ready", () => {
  const connecting = ikeSa([], { state: "CONNECTING" });
  assert.deepEqual(summary({ sas: [connecting], trapped: new Set(["site"]) }), ["connecting", "not ready"]);
});

test("one that charon has not loaded says so, and without any connection the gateway is not ready", () => {
  assert.deepEqual(summary({ loaded: [] }), ["not-loaded", "not ready"]);
  const gateway = { connections: [], virtualInterfaces: [] };
  assert.deepEqual(summary({ gateway, loaded: [], manual: true }), ["", "not ready"]);
});

test("while charon does not run nothing is up or ready, and after a minute the gateway does not live", () => {
  const starting = (since: number) =>
    buildStatus(observed({ loaded: [], daemon: { state: "starting", since, restarts: 3 } }));
  assert.deepEqual(starting(now - 59_000).reasons, ["the IKE daemon is starting"]);
  assert.equal(starting(now - 59_000).live, true);
  assert.equal(starting(now - 60_000).live, false);
});

test("a failure that only a peer's address is known of belongs to the connection with that address", () => {
  const trapped = new Set(["site"]);
  assert.deepEqual(summary({ trapped, failures: [failureOf({ peer: "192.0.2.2" })] })[1], "not ready");
  assert.deepEqual(summary({ trapped, failures: [failureOf({ peer: "203.0.113.9" })] })[1], "ready");
  assert.deepEqual(
    summary({ trapped, failures: [failureOf({ severity: "info", connection: "site" })] })[1],
    "ready",
  );
});

test("a failure of the daemon keeps whatever waits from being ready", () => {
  const failures = [failureOf({ cause: "secrets-unreadable" })];
  assert.deepEqual(summary({ trapped: new Set(["site"]), failures })[1], "not ready");
});

test("several pairs of networks of IKEv1, which charon lists under the first one's name, are one connection", () => {
  const gateway = gatewayOf({ IPSEC_KEYEXCHANGE: "ikev1", IPSEC_REMOTENET: "10.2.0.0/16,10.3.0.0/16" });
  const [child] = loadedSite.children;
  assert.ok(child);
  const loaded = [
    { ...loadedSite, name: "site_1", children: ["site_1", "site_2"].map((name) => ({ ...child, name })) },
  ];
  const sas = [
    ikeSa([sa({ name: "site_1" }), sa({ name: "site_2", uniqueId: "2" })], { connection: "site_1" }),
  ];
  const status = buildStatus(
    observed({
      gateway,
      loaded,
      sas,
      failures: [failureOf({ connection: "site_1" })],
      ikeRekeys: new Map([["site_1", 2]]),
    }),
  );
  assert.deepEqual(
    status.connections.map(({ name, state, rekeys, children }) => [name, state, rekeys, children.length]),
    [["site", "up", 2, 2]],
  );
  assert.deepEqual(
    status.failures.map(({ connection }) => connection),
    ["site"],
  );
});

test("a connection of a mounted configuration is as charon tells it", () => {
  const gateway = { connections: [], virtualInterfaces: [] };
  const status = buildStatus(observed({ manual: true, gateway, sas: [ikeSa([sa({ bytesIn: 1 })])] }));
  assert.deepEqual(
    status.connections.map(({ name, state, local, remote }) => [name, state, local.address, remote.identity]),
    [["site", "up", "192.0.2.1", "192.0.2.2"]],
  );
});

test("failures are counted by cause and connection, strangers' together", () => {
  const ofPeer = (peer: string) => ({ finding: failureOf({ peer }).finding, count: 2 });
  const status = buildStatus(
    observed({ failureCounts: [ofPeer("203.0.113.1"), ofPeer("203.0.113.2"), ofPeer("192.0.2.2")] }),
  );
  assert.deepEqual(status.failureCounts, [
    { cause: "peer-silent", count: 4 },
    { cause: "peer-silent", connection: "site", count: 2 },
  ]);
});
