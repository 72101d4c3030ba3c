// with either backend
// limit: 400 seconds
// full limit: 14400 seconds
import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import process from "node:process";
import { suite, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { createLab, type Lab } from "../../support/lab.ts";
import { hasTunnels, stop, tunnelEnvironment, tunnelPsk } from "../../support/our-gateway.ts";
import type { Peer } from "../../support/peer.ts";
import { attempts } from "../../support/scale.ts";
import type { SiteProcess } from "../../support/site-process.ts";
import { filesOf, processesIn } from "../../support/traces.ts";
import { waitFor } from "../../support/wait-for.ts";
import { cap, isPatientlyReady, patience } from "./patience.ts";

process.env.VNF_IPSEC_COMMAND = "node dist/vnf-ipsec";

suite("a stop on a real kernel", { concurrency: true }, () => {
  test("ends with 0 in time though one packet in five is lost, the peer has answered the DELETE, and nothing is left", async () => {
    await using lab = await createLab();
    const sun = await startPeer(lab);
    const before = await traces(lab);
    for (let cycle = 0; cycle < attempts({ usual: 2, full: 200 }); cycle += 1) {
      const from = sun.output().length;
      const { gateway, milliseconds: startMilliseconds } = await startFully(lab);
      // Every other stop has a clean path.
      await using _loss =
        cycle % 2 === 0 ? await lab.disturb({ kind: "drop", percent: 20 }) : new AsyncDisposableStack();
      const began = performance.now();
      gateway.signal("SIGTERM");
      assert.deepEqual(await gateway.exited, { exitCode: 0, signal: null }, gateway.output());
      const milliseconds = performance.now() - began;
      assert.ok(
        milliseconds <= cap(startMilliseconds),
        `${Math.round(milliseconds)} ms\n${gateway.output()}`,
      );
      await sun.waitForOutput(/received DELETE for IKE_SA[\s\S]*generating INFORMATIONAL response/, { from });
      await isForgotten(sun, from);
      assert.deepEqual(await traces(lab), before);
    }
  });

  test("at any moment of the start leaves nothing behind either, and no SA at the peer", async () => {
    await using lab = await createLab();
    const sun = await startPeer(lab);
    const before = await traces(lab);
    const { gateway: first, milliseconds: startMilliseconds } = await startFully(lab);
    assert.equal(await stop(first), 0);
    assert.deepEqual(await traces(lab), before);
    for (let attempt = 0; attempt < attempts({ usual: 3, full: 200 }); attempt += 1) {
      const offset = randomInt(Math.round(startMilliseconds * 1.1));
      const from = sun.output().length;
      const gateway = startGateway(lab);
      await pause(offset);
      gateway.signal("SIGTERM");
      const signalled = performance.now();
      const { exitCode, signal } = await gateway.exited;
      const milliseconds = performance.now() - signalled;
      const where = `SIGTERM after ${offset} ms, end after ${Math.round(milliseconds)}\n${gateway.output()}`;
      assert.ok(milliseconds <= cap(startMilliseconds), where);
      // Before Node has installed its handlers the signal kills it, which nobody can help; nothing is changed then.
      if (signal === "SIGTERM") assert.equal(gateway.output(), "", where);
      else assert.equal(exitCode, 0, where);
      assert.deepEqual(await traces(lab), before, where);
      await isForgotten(sun, from);
    }
  });

  test("does not keep packets waiting: whoever starts next brings up what the kernel asked the stopped one for", async () => {
    await using lab = await createLab();
    const { moon } = lab;
    const pings = moon.continuousPing(lab.sun.host, { intervalSeconds: 0.2 });
    const unheard = startGateway(lab, "route");
    await unheard.waitForRecord(({ message }) => /^initiating IKE_SA/.test(`${message}`), patience);
    assert.equal(await stop(unheard), 0);
    assert.match(await moon.run(["ip", "xfrm", "state"]), /proto esp spi 0x00000000/);
    await startPeer(lab);
    const gateway = startGateway(lab, "route");
    // Well before the kernel would ask again.
    await gateway.waitForRecord(
      ({ message }) => /^CHILD_SA \S+ established with SPIs/.test(`${message}`),
      patience,
    );
    assert.equal(await stop(gateway), 0);
    await pings.stop();
  });
});

const startFully = async (lab: Lab) => {
  const began = performance.now();
  const gateway = startGateway(lab);
  await isPatientlyReady(gateway);
  await hasTunnels(gateway);
  return { gateway, milliseconds: performance.now() - began };
};

const startPeer = ({ sun }: Lab): Promise<Peer> =>
  sun.peer({ connections: [{ psk: Buffer.from(tunnelPsk) }] });

const startGateway = ({ moon, sun }: Lab, start = "route,start"): SiteProcess =>
  moon.gateway(tunnelEnvironment(moon, sun, { IPSEC_DATAPLANE: "kernel", IPSEC_START: start }));

const traces = async ({ moon }: Lab) => ({
  network: await moon.snapshot(),
  files: await filesOf(moon),
  processes: ["charon", "starter"].flatMap((program) => processesIn(moon, program)),
});

/** A half-open SA, whose initiator went before it was authenticated, times out by itself (RFC 7296 §2.4). */
const isForgotten = (peer: Peer, from: number): Promise<true> =>
  waitFor(
    "the peer to hold no established IKE SA",
    async () => ((await peer.sas()).some(({ fields }) => fields.state === "ESTABLISHED") ? undefined : true),
    { explain: () => peer.output().slice(from) },
  );
