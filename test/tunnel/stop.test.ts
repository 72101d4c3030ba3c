import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { readFileSync } from "node:fs";
import process from "node:process";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { rendered } from "../support/backend-under-test.ts";
import { createLab, type Lab } from "../support/lab.ts";
import { hasTunnels, isReady, stop, tunnelEnvironment, tunnelPsk } from "../support/our-gateway.ts";
import type { Peer } from "../support/peer.ts";
import { attempts } from "../support/scale.ts";
import type { SiteProcess } from "../support/site-process.ts";
import { charonOf, filesOf, processesIn, quantile } from "../support/traces.ts";
import { waitFor } from "../support/wait-for.ts";

const psk = Buffer.from(tunnelPsk);
const capMilliseconds = 5_000;
const ruleMilliseconds = 2_000;

const startedGateway = (lab: Lab, changes = {}): SiteProcess =>
  lab.moon.gateway(tunnelEnvironment(lab.moon, lab.sun, { IPSEC_START: "start", ...changes }));

/** Everything that may be left behind, to be compared with what was there before. */
const traces = async (lab: Lab) => ({
  network: await lab.moon.snapshot(),
  files: await filesOf(lab.moon),
  processes: ["charon", "starter"].flatMap((program) => processesIn(lab.moon, program)),
});

/** The peer got a DELETE and holds no SA for established any more. */
const saidGoodbye = async (peer: Peer, from: number): Promise<void> => {
  await peer.waitForOutput(/received DELETE for IKE_SA/, { from });
  await isForgotten(peer, from);
};

/** A half-open SA, whose initiator went before it was authenticated, times out by itself (RFC 7296 §2.4). */
const isForgotten = (peer: Peer, from: number): Promise<true> =>
  waitFor(
    "the peer to hold no established IKE SA",
    async () => ((await peer.sas()).some(({ fields }) => fields.state === "ESTABLISHED") ? undefined : true),
    { explain: () => peer.output().slice(from) },
  );

test("SIGTERM ends the gateway with 0 in two seconds as a rule, five at most, the peer has answered its DELETE, and nothing is left", async () => {
  await using lab = await createLab();
  const sun = await lab.sun.peer({ connections: [{ psk }] });
  const before = await traces(lab);
  const took: number[] = [];
  for (let cycle = 0; cycle < attempts({ usual: 6, full: 200 }); cycle += 1) {
    const from = sun.output().length;
    const gateway = startedGateway(lab);
    await hasTunnels(gateway);
    if (cycle === 0) assert.notDeepEqual((await traces(lab)).network, before.network);
    // SIGINT is no different; it takes every other turn.
    const began = performance.now();
    gateway.signal(cycle % 2 === 0 ? "SIGTERM" : "SIGINT");
    assert.deepEqual(await gateway.exited, { exitCode: 0, signal: null });
    took.push(performance.now() - began);
    await saidGoodbye(sun, from);
    assert.equal(gateway.records().at(-1)?.event, "stopped");
    assert.equal(gateway.stderr(), "");
    assert.deepEqual(await traces(lab), before);
  }
  assert.ok(quantile(took, 0.99) <= ruleMilliseconds, `p99 of ${took.map(Math.round)} ms`);
});

test("the pre-shared key and the connection are gone after the stop, and files of others are as they were", async () => {
  await using lab = await createLab();
  await lab.moon.writeFile("/etc/ipsec.config.d/other.conf", "conn other\n\tauto=add\n");
  await lab.moon.writeFile("/etc/ipsec.secrets.d/other.secrets", '"other" : PSK "theirs"\n', 0o640);
  await lab.moon.writeFile("/etc/strongswan.d/charon.conf", "# the operator's own\n");
  const before = await filesOf(lab.moon);
  const gateway = startedGateway(lab);
  await isReady(gateway);
  assert.equal(await lab.moon.run(["stat", "-c", "%a", rendered.key]), "600\n");
  assert.equal(await stop(gateway), 0);
  const find = await lab.moon.exec(["grep", "-rlE", Buffer.from(psk).toString("base64"), "/etc", "/run"]);
  assert.equal(find.stdout, "");
  assert.deepEqual(await filesOf(lab.moon), before);
});

test("at a loss of 20 percent the peer still hears and answers the DELETE", async () => {
  await using lab = await createLab();
  const sun = await lab.sun.peer({ connections: [{ psk }] });
  for (let attempt = 0; attempt < attempts({ usual: 4, full: 100 }); attempt += 1) {
    const from = sun.output().length;
    const gateway = startedGateway(lab);
    await hasTunnels(gateway);
    {
      await using _loss = await lab.disturb({ kind: "drop", percent: 20 });
      const began = performance.now();
      assert.equal(await stop(gateway), 0);
      assert.ok(performance.now() - began <= capMilliseconds);
      await sun.waitForOutput(/received DELETE for IKE_SA[\s\S]*generating INFORMATIONAL response/, { from });
    }
    await saidGoodbye(sun, from);
  }
});

test("a stop while the peer is unreachable stays within the cap", async () => {
  await using lab = await createLab();
  await lab.sun.peer({ connections: [{ psk }] });
  const gateway = startedGateway(lab);
  await hasTunnels(gateway);
  await using _partition = await lab.partition();
  const began = performance.now();
  assert.equal(await stop(gateway), 0);
  assert.ok(performance.now() - began <= capMilliseconds);
});

/**
 * Before node has installed its handlers SIGTERM kills it, which nobody can help; nothing is changed then.
 */
test("SIGTERM at any moment of the start leaves nothing behind, within the cap, and no SA at the peer", async () => {
  await using lab = await createLab();
  const sun = await lab.sun.peer({ connections: [{ psk }] });
  const before = await traces(lab);
  const gateway = startedGateway(lab);
  const began = performance.now();
  await hasTunnels(gateway);
  const startMilliseconds = performance.now() - began;
  await stop(gateway);
  const seed = randomInt(2 ** 31);
  const random = seededRandom(seed);
  const count = attempts({ usual: 12, full: 200 });
  for (let attempt = 0; attempt < count; attempt += 1) {
    const offset = random() * startMilliseconds * 1.1;
    const where = `seed ${seed}, attempt ${attempt}, SIGTERM after ${offset.toFixed(1)} ms`;
    const from = sun.output().length;
    const stopped = startedGateway(lab);
    await pause(offset);
    stopped.signal("SIGTERM");
    const signalledAt = performance.now();
    const { exitCode, signal } = await stopped.exited;
    const took = performance.now() - signalledAt;
    assert.ok(took <= capMilliseconds, `${where}: ${Math.round(took)} ms\n${stopped.output()}`);
    if (signal !== null) {
      assert.equal(signal, "SIGTERM", where);
      assert.equal(stopped.output(), "", where);
    } else assert.equal(exitCode, 0, `${where}\n${stopped.output()}`);
    assert.deepEqual(await traces(lab), before, `${where}\n${stopped.output()}`);
    await isForgotten(sun, from);
  }
});

test("a charon that hangs is killed within the cap, and all that it had is cleaned up", async () => {
  await using lab = await createLab();
  await lab.sun.peer({ connections: [{ psk }] });
  const before = await traces(lab);
  for (let attempt = 0; attempt < attempts({ usual: 2, full: 20 }); attempt += 1) {
    const gateway = startedGateway(lab);
    await Promise.all([isReady(gateway), hasTunnels(gateway)]);
    process.kill(charonOf(gateway), "SIGSTOP");
    const began = performance.now();
    assert.equal(await stop(gateway), 0);
    const took = performance.now() - began;
    assert.ok(took <= capMilliseconds, `${Math.round(took)} ms`);
    assert.ok(gateway.records().some(({ event }) => event === "charon-killed"));
    assert.deepEqual(await traces(lab), before);
  }
});

test("a charon that hangs already while it starts is killed within the cap too", async () => {
  await using lab = await createLab();
  const before = await traces(lab);
  const gateway = startedGateway(lab);
  const pid = await waitFor("charon to be there", () => processesIn(lab.moon, "charon")[0]);
  process.kill(pid, "SIGSTOP");
  const began = performance.now();
  assert.equal(await stop(gateway), 0);
  assert.ok(performance.now() - began <= capMilliseconds);
  assert.deepEqual(await traces(lab), before);
});

test("a second signal ends a stop that waits, and still cleans up", async () => {
  await using lab = await createLab();
  await lab.sun.peer({ connections: [{ psk }] });
  const before = await traces(lab);
  const gateway = startedGateway(lab);
  await Promise.all([isReady(gateway), hasTunnels(gateway)]);
  process.kill(charonOf(gateway), "SIGSTOP");
  gateway.signal("SIGTERM");
  await gateway.waitForRecord(({ event }) => event === "stopping");
  const began = performance.now();
  gateway.signal("SIGINT");
  assert.equal((await gateway.exited).exitCode, 0);
  const took = performance.now() - began;
  assert.ok(took < 2_000, `${Math.round(took)} ms after the second signal`);
  assert.deepEqual(await traces(lab), before);
});

test("a Ctrl-C at a terminal reaches the gateway alone, which lets charon say goodbye first", async () => {
  await using lab = await createLab();
  const gateway = startedGateway(lab);
  await isReady(gateway);
  const daemons = ["charon", "starter"].flatMap((program) => processesIn(lab.moon, program));
  assert.ok(daemons.includes(charonOf(gateway)));
  for (const pid of daemons) assert.notEqual(processGroupOf(pid), processGroupOf(gateway.pid));
  assert.equal(await stop(gateway), 0);
});

/** Whose processes get what a terminal sends (proc(5), /proc/pid/stat). */
const processGroupOf = (pid: number): string | undefined =>
  readFileSync(`/proc/${pid}/stat`, "utf8")
    .replace(/^.*\) /, "")
    .split(" ")[2];

/** mulberry32: small, and the same on every machine. */
const seededRandom = (seed: number) => {
  let state = seed;
  return (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
};
