import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { starters } from "../support/backend-under-test.ts";
import { createLab, type Lab } from "../support/lab.ts";
import { hasTunnels, isReady, stop, tunnelEnvironment, tunnelPsk } from "../support/our-gateway.ts";
import { attempts } from "../support/scale.ts";
import type { Environment, SiteProcess } from "../support/site-process.ts";
import { charonOf, filesOf, processesIn } from "../support/traces.ts";

const psk = Buffer.from(tunnelPsk);

/** Ready, and its tunnel there: the one may come before the other. */
const isUp = (gateway: SiteProcess) => Promise.all([isReady(gateway), hasTunnels(gateway)]);

const startGateway = (lab: Lab, changes: Environment = {}): SiteProcess =>
  lab.moon.gateway(tunnelEnvironment(lab.moon, lab.sun, { IPSEC_START: "start", ...changes }));

const gone = 4_194_304;

/** Sockets that nobody serves, as a charon leaves them that was killed. */
const deadSocket = `
const { createServer } = require("node:net");
const { renameSync } = require("node:fs");
for (const path of process.argv.slice(1)) {
  createServer().listen(path + ".bound", () => renameSync(path + ".bound", path));
}
setImmediate(() => setImmediate(() => process.kill(process.pid, "SIGKILL")));
`;

/** What a dead predecessor may leave; `others` is the pid of a living process that has nothing to do with IPsec. */
const leftovers: Readonly<Record<string, (lab: Lab, others: number) => Promise<unknown>>> = {
  "pid files of processes that are gone": async ({ moon }) => {
    await moon.writeFile("/run/charon.pid", `${gone}\n`);
    await moon.writeFile("/run/starter.charon.pid", `${gone}\n`);
  },
  "a pid file of charon whose number is another process now": ({ moon }, others) =>
    moon.writeFile("/run/charon.pid", `${others}\n`),
  "a pid file of starter whose number is another process now": ({ moon }, others) =>
    moon.writeFile("/run/starter.charon.pid", `${others}\n`),
  "a pid file of charon whose number is the charon of another site now": async ({ moon, sun }) => {
    const [charon] = processesIn(sun, "charon");
    await moon.writeFile("/run/charon.pid", `${charon}\n`);
  },
  "pid files without a number": async ({ moon }) => {
    await moon.writeFile("/run/charon.pid", "");
    await moon.writeFile("/run/starter.charon.pid", "no number\n");
  },
  "sockets without a listener": ({ moon }) =>
    moon.exec([process.execPath, "-e", deadSocket, "/run/charon.vici", "/run/charon.ctl"]),
  "a claim whose process number is another process now": ({ moon }, others) => {
    const identity = { pid: others, startTicks: "1", bootId: "none" };
    return moon.writeFile(
      "/run/vnf-ipsec/gateway.json",
      JSON.stringify({ supervisor: identity, processes: [identity] }),
    );
  },
  "a claim and a journal that are cut short": async ({ moon }) => {
    await moon.writeFile("/run/vnf-ipsec/gateway.json", '{"supervisor":{"pid"');
    await moon.writeFile("/run/vnf-ipsec/undo.json", '[["ip","rou');
  },
};

test("whatever a dead predecessor left, the gateway starts, and no other process comes to harm", async () => {
  await using lab = await createLab();
  await lab.sun.peer({ connections: [{ psk }] });
  const others = lab.moon.spawn(["sleep", "1000"]);
  const before = await filesOf(lab.moon);
  for (const [what, leave] of Object.entries(leftovers)) {
    await leave(lab, others.pid);
    const gateway = startGateway(lab);
    await isUp(gateway);
    assert.equal(processesIn(lab.moon, "charon").length, 1, what);
    assert.equal(await stop(gateway), 0, what);
    assert.deepEqual(await filesOf(lab.moon), before, what);
  }
  assert.ok(others.signal("SIGTERM"), "the other process still runs");
  assert.equal(processesIn(lab.sun, "charon").length, 1);
});

test("a gateway whose supervisor was killed is taken over by the next start: its orphans end, its peer hears of it, and nothing is left in the end", async () => {
  await using lab = await createLab({ router: true });
  const sun = await lab.sun.peer({ connections: [{ psk }] });
  const before = { network: await lab.moon.snapshot(), files: await filesOf(lab.moon) };
  for (let attempt = 0; attempt < attempts({ usual: 2, full: 100 }); attempt += 1) {
    const first = startGateway(lab, { SET_ROUTE_DEFAULT_TABLE: "yes" });
    await isUp(first);
    const orphan = charonOf(first);
    await first.kill();
    assert.deepEqual(processesIn(lab.moon, "charon"), [orphan]);

    const from = sun.output().length;
    const second = startGateway(lab, { SET_ROUTE_DEFAULT_TABLE: "yes" });
    await isUp(second);
    await sun.waitForOutput(/received DELETE for IKE_SA/, { from });
    assert.deepEqual(processesIn(lab.moon, "charon"), [charonOf(second)]);
    assert.notEqual(charonOf(second), orphan);
    assert.equal(processesIn(lab.moon, "starter").length, starters);
    assert.equal((await lab.moon.ping(lab.sun.host)).received, 3);
    assert.equal(await stop(second), 0);
    assert.deepEqual({ network: await lab.moon.snapshot(), files: await filesOf(lab.moon) }, before);
  }
});

test("an orphaned charon that hangs is taken over too", async () => {
  await using lab = await createLab();
  await lab.sun.peer({ connections: [{ psk }] });
  const before = await lab.moon.snapshot();
  const first = startGateway(lab);
  await isUp(first);
  process.kill(charonOf(first), "SIGSTOP");
  await first.kill();
  const second = startGateway(lab);
  await isUp(second);
  assert.deepEqual(processesIn(lab.moon, "charon"), [charonOf(second)]);
  assert.equal(await stop(second), 0);
  assert.deepEqual(await lab.moon.snapshot(), before);
});

test("after supervisor, starter and charon were all killed, the next start takes what they left out of the kernel, and nothing of others", async () => {
  await using lab = await createLab();
  await lab.sun.peer({ connections: [{ psk }] });
  const addPolicy = (source: string, destination: string, reqid: number) =>
    lab.moon.run([
      ...(["ip", "xfrm", "policy", "add", "src", source, "dst", destination, "dir", "out", "tmpl"] as const),
      ...[
        "src",
        lab.moon.address,
        "dst",
        lab.sun.address,
        "proto",
        "esp",
        "reqid",
        `${reqid}`,
        "mode",
        "tunnel",
      ],
    ]);
  // Of other networks; and of these networks, but by hand, for an IKE daemon gives every policy a reqid.
  await addPolicy("10.8.0.0/24", "10.9.0.0/24", 7);
  await addPolicy("10.1.0.128/25", "10.2.0.128/25", 0);
  const before = await lab.moon.snapshot();
  const first = startGateway(lab);
  await isUp(first);
  const pids = ["starter", "charon"].flatMap((program) => processesIn(lab.moon, program));
  await first.kill();
  for (const pid of pids) process.kill(pid, "SIGKILL");
  // What ESP in the kernel would have left, the whole networks and a part that a peer asked for.
  await addPolicy("10.1.0.0/24", "10.2.0.0/24", 1);
  await addPolicy("10.2.0.0/25", "10.1.0.0/24", 1);
  const second = startGateway(lab);
  await isReady(second);
  const restored = second.records().filter(({ event }) => event === "host-restored");
  assert.ok(restored.some(({ command }) => command === "ip -4 rule del pref 220 table 220"));
  assert.deepEqual((await lab.moon.snapshot()).policies, before.policies);
  assert.ok(!second.records().some(({ message }) => message === "could not take back a change"));
  assert.equal(await stop(second), 0);
  assert.deepEqual(await lab.moon.snapshot(), before);
});

test("a charon that is not ours makes the start end with 69, and goes on with its files and its tunnel", async () => {
  await using lab = await createLab();
  await lab.sun.peer({ connections: [{ psk }] });
  const theirs = await lab.moon.peer({ connections: [{ psk, startAction: "start" }] });
  await theirs.waitForTunnel();
  const before = { network: await lab.moon.snapshot(), files: await filesOf(lab.moon) };
  for (const changes of [{}, { IPSEC_MANUAL_CHARON: "yes" }]) {
    const gateway = startGateway(lab, changes);
    assert.equal((await gateway.exited).exitCode, 69);
    assert.match(
      gateway.stderr(),
      new RegExp(`another charon runs here already \\(process ${theirs.pid}\\)`),
    );
    assert.deepEqual({ network: await lab.moon.snapshot(), files: await filesOf(lab.moon) }, before);
  }
  assert.equal((await lab.moon.ping(lab.sun.host)).received, 3);
  await theirs.stop();
});

test("another program on UDP port 500 makes the start end with 69 before anything is changed", async () => {
  await using lab = await createLab();
  const listener = "require('node:dgram').createSocket('udp4').bind(500, () => console.log('bound'))";
  const other = lab.moon.spawn([process.execPath, "-e", listener]);
  await other.waitForOutput(/bound/);
  const before = { network: await lab.moon.snapshot(), files: await filesOf(lab.moon) };
  const gateway = startGateway(lab);
  assert.equal((await gateway.exited).exitCode, 69);
  assert.match(gateway.stderr(), /UDP port 500 is in use in this network namespace/);
  assert.deepEqual({ network: await lab.moon.snapshot(), files: await filesOf(lab.moon) }, before);
});
