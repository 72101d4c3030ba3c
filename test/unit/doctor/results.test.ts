import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { withoutKeys } from "../../../src/doctor/bundle.ts";
import { checkClock } from "../../../src/doctor/check-clock.ts";
import { checkGateway } from "../../../src/doctor/check-gateway.ts";
import { checkNames, result } from "../../../src/doctor/check-result.ts";
import { describeResults, inOrder, isHealthy, printResults } from "../../../src/doctor/print-results.ts";
import type { GatewayStatus } from "../../../src/status/status-schema.ts";
import { repository } from "../../support/repository.ts";

const mixed = [
  result("mtu", "skipped", "no tunnel"),
  result("firewall", "ok", "fine", { hint: "not shown" }),
  result("settings", "warning", "short key", { hint: "a longer one" }),
  result("firewall", "failure", "dropped \u001b[2J", { hint: "nft …" }),
];

test("results come in the order of the checks, the worst of each first, with remedies below and a summary", () => {
  assert.equal(
    printResults(inOrder(mixed), false),
    `warning  settings: short key
         a longer one
failure  firewall: dropped ?[2J
         nft …
ok       firewall: fine
skipped  mtu: no tunnel

1 failure, 1 warning
`,
  );
});

test("colours are there when they are wanted, and only then", () => {
  assert.ok(printResults(mixed, true).includes("\u001b[31m"));
});

test("only a failure makes it unhealthy", () => {
  assert.equal(isHealthy(mixed), false);
  assert.equal(isHealthy(mixed.filter(({ verdict }) => verdict !== "failure")), true);
  assert.deepEqual(describeResults([]), { version: 1, healthy: true, results: [] });
});

test("the documentation explains every check", () => {
  const page = readFileSync(`${repository}/docs/doctor.md`, "utf8");
  const rows = page
    .slice(page.indexOf("## Checks"), page.indexOf("## Keys"))
    .split("\n")
    .flatMap((line) => /^\| `([a-z-]+)` \|/.exec(line)?.[1] ?? []);
  assert.deepEqual(rows, [...checkNames]);
});

test("keys of the kernel's states are masked, whatever iproute2 prints", () => {
  const state = `src 192.0.2.1 dst 192.0.2.2
	proto esp spi 0xc1234567 reqid 1 mode tunnel
	auth-trunc hmac(sha256) 0x00112233445566778899aabbccddeeff 128
	enc cbc(aes) 0xffeeddccbbaa99887766554433221100
	aead rfc4106(gcm(aes)) 0x000102030405060708090a0b0c0d0e0f10111213 128
	anti-replay context: seq 0x0, oseq 0x0, bitmap 0x00000000
`;
  const masked = withoutKeys(state);
  assert.ok(!/0011|ffee|0001020/.test(masked), masked);
  assert.ok(masked.includes("auth-trunc hmac(sha256) *** 128"));
  assert.ok(masked.includes("spi 0xc1234567") && masked.includes("bitmap 0x00000000"));
});

const noProgram = async () => ({ exitCode: 127, stdout: "", stderr: "" });

test("a clock in a year that cannot be is a warning", async () => {
  for (const date of ["1970-01-02", "2200-01-01"]) {
    const [one] = await checkClock(Date.parse(date), noProgram);
    assert.equal(one?.verdict, "warning", date);
    assert.ok(one?.message.includes(date));
  }
});

const status: GatewayStatus = {
  version: 1,
  gateway: {
    version: "1.0.0",
    startedAt: "2026-11-23T15:00:00.000Z",
    dataplane: "kernel",
    configuration: "variables",
  },
  daemon: { state: "running", since: "2026-11-23T15:00:00.000Z", version: "5.9.8", restarts: 0 },
  live: true,
  ready: false,
  reasons: [],
  connections: [],
  failures: [],
  failureCounts: [],
};

const connection = (
  state: GatewayStatus["connections"][number]["state"],
  packetsOut = 0,
  packetsIn = 0,
): GatewayStatus["connections"][number] => ({
  name: "site",
  state,
  local: { address: "192.0.2.1", identity: "moon" },
  remote: { address: "192.0.2.2", identity: "sun" },
  rekeys: 0,
  children: [
    {
      name: "site",
      state,
      localNetworks: ["10.1.0.0/24"],
      remoteNetworks: ["10.2.0.0/24"],
      traffic: { bytesIn: 0, bytesOut: 0, packetsIn, packetsOut },
      ups: 0,
      rekeys: 0,
    },
  ],
});

const verdictsOf = (change: Partial<GatewayStatus>) =>
  checkGateway({ ...status, ...change }).map(({ name, verdict }) => `${name} ${verdict}`);

test("a tunnel is judged by its state, and one that only sends by its traffic", () => {
  const judged = (...words: Parameters<typeof connection>) =>
    verdictsOf({ connections: [connection(...words)] }).at(-1);
  assert.equal(judged("up", 20, 20), "tunnel ok");
  assert.equal(judged("up", 20, 0), "tunnel warning");
  assert.equal(judged("waiting-for-traffic"), "tunnel ok");
  assert.equal(judged("waiting-for-peer"), "tunnel ok");
  assert.equal(judged("connecting"), "tunnel warning");
  assert.equal(judged("down"), "tunnel failure");
  assert.equal(judged("not-loaded"), "tunnel failure");
});

test("a daemon that is silent or was started again is told", () => {
  assert.deepEqual(verdictsOf({ daemon: { ...status.daemon, state: "unresponsive" } }), ["gateway failure"]);
  assert.deepEqual(verdictsOf({ daemon: { ...status.daemon, restarts: 2 } }), ["gateway warning"]);
  assert.deepEqual(verdictsOf({ live: false }), ["gateway failure"]);
});

test("failures that last are told by what they are about; those of strangers are warnings", () => {
  const failure = {
    cause: "psk-mismatch",
    severity: "error",
    connection: "site",
    since: "2026-11-23T15:00:00.000Z",
    variables: ["IPSEC_PSK"],
    meaning: "the two ends have different pre-shared keys",
    remedy: "set the same IPSEC_PSK at both ends",
    values: { localId: "moon" },
  } as const;
  const judged = (change: object) =>
    verdictsOf({ failures: [{ ...failure, variables: [...failure.variables], ...change }] })[1];
  assert.equal(judged({}), "credentials failure");
  assert.equal(judged({ cause: "no-route" }), "diagnosis failure");
  assert.equal(judged({ connection: undefined, peer: "203.0.113.9" }), "credentials warning");
  assert.equal(judged({ cause: "key-exchange-retried", severity: "info" }), "diagnosis ok");
  const [, told] = checkGateway({
    ...status,
    failures: [{ ...failure, variables: [...failure.variables] }],
  });
  assert.match(told?.message ?? "", /^site: psk-mismatch: .* \(localId moon\)$/);
  assert.match(told?.hint ?? "", /look at IPSEC_PSK$/);
});
