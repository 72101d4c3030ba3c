import assert from "node:assert/strict";
import process from "node:process";
import { suite, test } from "node:test";
import { starters } from "../support/backend-under-test.ts";
import { createLab, type Lab } from "../support/lab.ts";
import { hasTunnels, isReady, stop, tunnelEnvironment, tunnelPsk } from "../support/our-gateway.ts";
import { attempts } from "../support/scale.ts";
import type { Environment, SiteProcess } from "../support/site-process.ts";
import { charonOf, filesOf, processesIn, quantile } from "../support/traces.ts";
import { waitFor } from "../support/wait-for.ts";

const psk = Buffer.from(tunnelPsk);

/** Ready, and its tunnel there: the one may come before the other. */
const isUp = (gateway: SiteProcess) => Promise.all([isReady(gateway), hasTunnels(gateway)]);

const startGateway = (lab: Lab, changes: Environment = {}): SiteProcess =>
  lab.moon.gateway(tunnelEnvironment(lab.moon, lab.sun, { IPSEC_START: "start", ...changes }));

/** Does something to a running tunnel; resolves with how long no ping came through, in milliseconds. */
const outage = async (
  lab: Lab,
  gateway: SiteProcess,
  disrupt: () => void,
  timeoutMs?: number,
): Promise<number> => {
  const from = gateway.records().length;
  const pinging = lab.moon.continuousPing(lab.sun.host, { intervalSeconds: 0.01 });
  await pinging.waitForAnswer();
  disrupt();
  const limit = timeoutMs === undefined ? {} : { timeoutMs };
  await gateway.waitForRecord(({ event }) => event === "charon-died", { from, ...limit });
  await pinging.waitForAnswer(limit);
  return (await pinging.stop()).longestGapMs;
};

test("a charon that is killed is replaced in place, and pings come through again in half a second as a rule, two at most", async () => {
  await using lab = await createLab();
  const gateways: SiteProcess[] = [];
  await lab.sun.peer({ connections: [{ psk }] });
  const gaps: number[] = [];
  // Each gateway gets a few deaths only, for ten within a minute are too many.
  for (let attempt = 0; attempt < attempts({ usual: 6, full: 100 }); attempt += 1) {
    if (attempt % 6 === 0) {
      if (gateways.length > 0) assert.equal(await stop(gateways.at(-1) as SiteProcess), 0);
      gateways.push(startGateway(lab));
      await isUp(gateways.at(-1) as SiteProcess);
    }
    const gateway = gateways.at(-1) as SiteProcess;
    // Of several deaths in a minute only the first is followed at once, so the pause is not ours to measure.
    const pauseBefore = gateway.records().length;
    const gap = await outage(lab, gateway, () => process.kill(charonOf(gateway), "SIGKILL"));
    const died = gateway
      .records()
      .slice(pauseBefore)
      .find(({ event }) => event === "charon-died");
    gaps.push(gap - Number(died?.pauseMilliseconds));
    await gateway.waitForRecord(({ event }) => event === "ready", { from: pauseBefore });
    assert.equal(processesIn(lab.moon, "charon").length, 1);
    assert.equal(processesIn(lab.moon, "starter").length, starters);
  }
  const median = quantile(gaps, 0.5);
  assert.ok(median <= 500, `median of ${gaps.map(Math.round)} ms`);
  assert.ok(quantile(gaps, 0.99) <= 2_000, `p99 of ${gaps.map(Math.round)} ms`);
  assert.equal(await stop(gateways.at(-1) as SiteProcess), 0);
});

test("a charon that hangs is noticed and replaced within fifteen seconds", async () => {
  await using lab = await createLab();
  await lab.sun.peer({ connections: [{ psk }] });
  const before = await lab.moon.snapshot();
  const gateway = startGateway(lab);
  await isUp(gateway);
  const hung = charonOf(gateway);
  const gap = await outage(lab, gateway, () => process.kill(hung, "SIGSTOP"));
  assert.ok(gap <= 15_000, `${Math.round(gap)} ms`);
  assert.ok(!processesIn(lab.moon, "charon").includes(hung));
  assert.equal(await stop(gateway), 0);
  assert.deepEqual(await lab.moon.snapshot(), before);
});

test("a starter that is killed alone is replaced together with its charon", async () => {
  await using lab = await createLab();
  await lab.sun.peer({ connections: [{ psk }] });
  const gateway = startGateway(lab, { IPSEC_BACKEND: "stroke" });
  await isUp(gateway);
  const [former] = processesIn(lab.moon, "charon");
  const [starter] = processesIn(lab.moon, "starter");
  assert.ok(starter !== undefined);
  await outage(lab, gateway, () => process.kill(starter, "SIGKILL"));
  const [next, ...more] = processesIn(lab.moon, "charon");
  assert.notEqual(next, former);
  assert.deepEqual(more, []);
  assert.equal(processesIn(lab.moon, "starter").length, 1);
  assert.equal(await stop(gateway), 0);
});

// The pauses between the ten starts add up to 23 seconds, which the two share.
suite("a daemon that will not stay up", { concurrency: true }, () => {
  test("a daemon that dies ten times within a minute ends the gateway with 70 and its last words, and nothing is left", async () => {
    await using lab = await createLab();
    const before = { network: await lab.moon.snapshot(), files: await filesOf(lab.moon) };
    const gateway = startGateway(lab);
    for (let death = 0, from = 0; death < 10; death += 1) {
      const record = await gateway.waitForRecord(({ event }) => event === "charon-started", { from });
      from = gateway.records().indexOf(record) + 1;
      process.kill(Number(record.pid), "SIGKILL");
    }
    assert.deepEqual(await gateway.exited, { exitCode: 70, signal: null });
    assert.match(gateway.stderr(), /^vnf-ipsec: error: charon died 10 times within a minute: /m);
    assert.match(gateway.stderr(), /^vnf-ipsec: hint: its last words: \S/m);
    assert.doesNotMatch(gateway.stderr(), /^ +at /m);
    assert.deepEqual({ network: await lab.moon.snapshot(), files: await filesOf(lab.moon) }, before);
  });

  test("a charon that cannot initialise ends in 70 with the reason, though starter ends with 0", async () => {
    await using lab = await createLab();
    await lab.moon.writeFile("/etc/strongswan.d/charon/x.conf", "this is no { section\n");
    const gateway = startGateway(lab, { IPSEC_MANUAL_CHARON: "yes" });
    await gateway.waitForRecord(({ event }) => event === "stopped", { timeoutMs: 60_000 });
    assert.deepEqual(await gateway.exited, { exitCode: 70, signal: null });
    assert.match(gateway.stderr(), /^vnf-ipsec: hint: its last words: .*x\.conf/m);
  });
});

test("a stop that is asked for between two lives of charon ends at once with 0", async () => {
  await using lab = await createLab();
  await lab.moon.writeFile("/etc/strongswan.d/charon/x.conf", "this is no { section\n");
  const gateway = startGateway(lab, { IPSEC_MANUAL_CHARON: "yes" });
  await gateway.waitForRecord(({ event, deaths }) => event === "charon-died" && Number(deaths) >= 5);
  const began = performance.now();
  assert.equal(await stop(gateway), 0);
  assert.ok(performance.now() - began < 2_000);
});

test("a second gateway in the namespace ends with 69 and leaves the first untouched", async () => {
  await using lab = await createLab({ router: true });
  await lab.sun.peer({ connections: [{ psk }] });
  const gateway = startGateway(lab, { SET_ROUTE_DEFAULT_TABLE: "yes" });
  await isUp(gateway);
  const before = { network: await lab.moon.snapshot(), files: await filesOf(lab.moon) };
  const pinging = lab.moon.continuousPing(lab.sun.host);
  await pinging.waitForAnswer();
  for (const changes of [{}, { IPSEC_REMOTENET: "10.9.0.0/24" }, { IPSEC_MANUAL_CHARON: "yes" }]) {
    const second = startGateway(lab, { SET_ROUTE_DEFAULT_TABLE: "yes", ...changes });
    assert.deepEqual(await second.exited, { exitCode: 69, signal: null });
    assert.match(
      second.stderr(),
      new RegExp(`another vnf-ipsec runs here already \\(process ${gateway.pid}\\)`),
    );
  }
  assert.deepEqual({ network: await lab.moon.snapshot(), files: await filesOf(lab.moon) }, before);
  assert.deepEqual((await pinging.stop()).missing, []);
  assert.equal(await stop(gateway), 0);
});

test("of two gateways that start at once one runs and the other ends with 69", async () => {
  await using lab = await createLab();
  for (let attempt = 0; attempt < attempts({ usual: 2, full: 50 }); attempt += 1) {
    const both = [startGateway(lab), startGateway(lab)];
    const loser = await Promise.race(both.map((one) => one.exited.then(() => one)));
    assert.equal((await loser.exited).exitCode, 69);
    const winner = both.find((one) => one !== loser) as SiteProcess;
    await isReady(winner);
    assert.equal(await stop(winner), 0);
    await waitFor("no charon to be left", () =>
      processesIn(lab.moon, "charon").length === 0 ? true : undefined,
    );
  }
});
