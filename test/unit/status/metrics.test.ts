import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { renderMetrics } from "../../../src/status/metrics.ts";
import type { GatewayStatus } from "../../../src/status/status-schema.ts";

const time = "2026-11-23T12:00:00.500Z";

/** Nothing is up yet. */
const status = (differs: Partial<GatewayStatus> = {}): GatewayStatus => ({
  version: 1,
  gateway: { version: "1.0.0", startedAt: time, dataplane: "kernel", configuration: "variables" },
  daemon: { state: "starting", since: time, restarts: 2 },
  live: true,
  ready: false,
  reasons: ["the IKE daemon is starting"],
  connections: [],
  failures: [],
  failureCounts: [],
  ...differs,
});

const failure = (cause: string, connection?: string): GatewayStatus["failures"][number] => ({
  cause,
  severity: "error",
  ...(connection === undefined ? {} : { connection }),
  since: time,
  variables: [],
  meaning: "",
  remedy: "",
  values: {},
});

const samplesOf = (text: string): readonly string[] =>
  text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));

test("each metric has its help, its type and then its samples, and the text ends with a line feed", () => {
  const text = renderMetrics(status());
  assert.match(text, /\n$/);
  const [help, type, sample] = text.split("\n");
  assert.deepEqual(
    [help, type, sample],
    [
      "# HELP vnf_ipsec_build_info Versions of the gateway and of its IKE daemon; always 1.",
      "# TYPE vnf_ipsec_build_info gauge",
      'vnf_ipsec_build_info{version="1.0.0",daemon_version=""} 1',
    ],
  );
  assert.ok(samplesOf(text).includes("vnf_ipsec_start_time_seconds 1795435200.5"), text);
  assert.ok(samplesOf(text).includes("vnf_ipsec_daemon_restarts_total 2"));
});

test("a connection that never came up has no last handshake, and all its counters at 0", () => {
  const end = { address: "192.0.2.1" };
  const traffic = { bytesIn: 0, bytesOut: 0, packetsIn: 0, packetsOut: 0 };
  const networks = { localNetworks: [], remoteNetworks: [] };
  const child = { name: "a", state: "down" as const, ...networks, traffic, ups: 0, rekeys: 0 };
  const connection = {
    name: "a",
    state: "down" as const,
    local: end,
    remote: end,
    rekeys: 0,
    children: [child],
  };
  const ofConnection = samplesOf(renderMetrics(status({ connections: [connection] }))).filter((line) =>
    line.includes("connection="),
  );
  assert.deepEqual(ofConnection, [
    'vnf_ipsec_ike_sa_established{connection="a"} 0',
    'vnf_ipsec_ike_sa_rekeys_total{connection="a"} 0',
    'vnf_ipsec_child_sa_installed{connection="a",child="a"} 0',
    'vnf_ipsec_child_sa_ups_total{connection="a",child="a"} 0',
    'vnf_ipsec_child_sa_rekeys_total{connection="a",child="a"} 0',
    'vnf_ipsec_child_sa_bytes_total{connection="a",child="a",direction="in"} 0',
    'vnf_ipsec_child_sa_bytes_total{connection="a",child="a",direction="out"} 0',
    'vnf_ipsec_child_sa_packets_total{connection="a",child="a",direction="in"} 0',
    'vnf_ipsec_child_sa_packets_total{connection="a",child="a",direction="out"} 0',
  ]);
});

test("failures of several strangers are one series, for a series may appear once only", () => {
  const strangers = ["192.0.2.7", "192.0.2.8"].map((peer) => ({ ...failure("connection-unknown"), peer }));
  const active = samplesOf(
    renderMetrics(status({ failures: [...strangers, failure("psk-mismatch", "a")] })),
  ).filter((line) => line.startsWith("vnf_ipsec_failure_active"));
  assert.deepEqual(active, [
    'vnf_ipsec_failure_active{cause="connection-unknown",connection=""} 1',
    'vnf_ipsec_failure_active{cause="psk-mismatch",connection="a"} 1',
  ]);
});

test("whatever a connection is called, its name is one label value and nothing else", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), fc.nat(), (connection, count) => {
      const text = renderMetrics(status({ failureCounts: [{ cause: "psk-mismatch", connection, count }] }));
      const [line, ...more] = samplesOf(text).filter((one) => one.startsWith("vnf_ipsec_failures_total"));
      assert.deepEqual(more, []);
      const [, value = "", number] =
        /^vnf_ipsec_failures_total\{cause="psk-mismatch",connection="((?:[^"\\]|\\[\\"n])*)"\} (\d+)$/s.exec(
          line ?? "",
        ) ?? [];
      assert.equal(Number(number), count);
      assert.equal(
        value.replace(/\\(.)/g, (_, letter) => (letter === "n" ? "\n" : letter)),
        connection,
      );
    }),
  );
});

test("of the certificates of each kind the first to expire is told, and none with a pre-shared key", () => {
  const end = { address: "192.0.2.1" };
  const connection = {
    name: "a",
    state: "down" as const,
    local: end,
    remote: end,
    rekeys: 0,
    children: [],
    certificates: [
      { of: "local" as const, subject: "CN=moon", expiresAt: "2027-01-01T00:00:00.000Z" },
      { of: "authority" as const, subject: "CN=new", expiresAt: "2030-01-01T00:00:00.000Z" },
      { of: "authority" as const, subject: "CN=old", expiresAt: "2028-01-01T00:00:00.000Z" },
    ],
  };
  const { certificates: _, ...withKey } = connection;
  const samples = samplesOf(renderMetrics(status({ connections: [connection, { ...withKey, name: "b" }] })));
  const name = "vnf_ipsec_certificate_expiry_timestamp_seconds";
  assert.deepEqual(
    samples.filter((sample) => sample.startsWith(name)),
    [
      `${name}{connection="a",of="local"} ${Date.UTC(2027) / 1000}`,
      `${name}{connection="a",of="authority"} ${Date.UTC(2028) / 1000}`,
    ],
  );
});
