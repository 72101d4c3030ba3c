import assert from "node:assert/strict";
import { existsSync, renameSync } from "node:fs";
import { dirname } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { rendered } from "../support/backend-under-test.ts";
import { createLab, type Lab } from "../support/lab.ts";
import { hasTunnels, isReady, stop, tunnelEnvironment, tunnelPsk } from "../support/our-gateway.ts";
import type { Peer } from "../support/peer.ts";
import { attempts } from "../support/scale.ts";
import type { Environment, SiteProcess } from "../support/site-process.ts";
import { swanctlConf } from "../support/swanctl-conf.ts";
import { charonOf, filesOf, processesIn } from "../support/traces.ts";
import { waitFor } from "../support/wait-for.ts";

const psk = Buffer.from(tunnelPsk);
const networks = ["10.2.0.0/24", "10.3.0.0/24"] as const;
const envFile = "/etc/site.env";

/** sun protects two networks; of these the gateway at moon asks for those that its ENVFILE says. */
const makeLab = (): Promise<Lab> => createLab({ sun: { networks } });

const writeEnv = (lab: Lab, values: Environment = {}): Promise<void> => {
  const all = { IPSEC_REMOTENET: networks[0], IPSEC_START: "start", ...values };
  return lab.moon.writeFile(
    envFile,
    Object.entries(all)
      .map(([name, value]) => `${name}=${value}\n`)
      .join(""),
  );
};

const startGateway = (lab: Lab): SiteProcess => {
  const { IPSEC_REMOTENET: _, ...environment } = tunnelEnvironment(lab.moon, lab.sun, { ENVFILE: envFile });
  return lab.moon.gateway(environment);
};

/** Both ends, with a tunnel to the first network of sun. */
const tunnel = async (lab: Lab, values: Environment = {}) => {
  const sun = await lab.sun.peer({ connections: [{ psk }] });
  await writeEnv(lab, values);
  const gateway = startGateway(lab);
  await hasTunnels(gateway);
  await isReady(gateway);
  return { sun, gateway };
};

/** Resolves when the reload is through, with what it logged until then. */
const reload = async (gateway: SiteProcess, event: "reloaded" | "reload-refused" = "reloaded") => {
  const from = gateway.records().length;
  gateway.signal("SIGHUP");
  await gateway.waitForRecord((record) => record.event === event, { from });
  return gateway.records().slice(from);
};

/** Resolves when the peer has one tunnel and that is to these networks of its own. */
const tunnelTo = (sun: Peer, ...wanted: readonly string[]): Promise<true> =>
  waitFor(
    `a tunnel to ${wanted}`,
    async () => {
      const children = (await sun.sas()).flatMap((sa) => sa.children);
      return `${children.map((child) => child["local-ts"])}` === `${wanted}` ? true : undefined;
    },
    { explain: sun.output },
  );

/** No ping may be lost while it happens, and what is seen of the protected networks on the wire is ESP. */
const withoutLoss = async (lab: Lab, act: () => Promise<unknown>): Promise<void> => {
  const witness = await lab.captureWire("net 10.0.0.0/8");
  const pinging = lab.moon.continuousPing(lab.sun.host, { intervalSeconds: 0.01 });
  await pinging.waitForAnswer();
  await act();
  await pinging.waitForAnswer();
  assert.deepEqual((await pinging.stop()).missing, []);
  assert.deepEqual(await witness.stop(), []);
};

test("a reload with another network moves the tunnel there and away from the old one", async () => {
  await using lab = await makeLab();
  const { sun, gateway } = await tunnel(lab);
  await tunnelTo(sun, networks[0]);
  const charon = charonOf(gateway);
  await writeEnv(lab, { IPSEC_REMOTENET: networks[1] });
  await reload(gateway);
  await tunnelTo(sun, networks[1]);
  const witness = await lab.captureWire("net 10.3.0.0/24");
  assert.equal((await lab.moon.ping("10.3.0.1")).received, 3);
  assert.deepEqual(await witness.stop(), []);
  assert.doesNotMatch(await lab.moon.readFile(rendered.connection), /10\.2\.0\.0/);

  await writeEnv(lab, { IPSEC_REMOTENET: networks.join(",") });
  await reload(gateway);
  await tunnelTo(sun, ...networks);
  assert.equal(charonOf(gateway), charon);
  assert.equal(await stop(gateway), 0);
});

test("a reload with nothing changed loses no ping, however often", async () => {
  await using lab = await makeLab();
  const { gateway } = await tunnel(lab);
  const before = await filesOf(lab.moon);
  await withoutLoss(lab, async () => {
    for (let count = 0; count < attempts({ usual: 40, full: 1_000 }); count += 1) await reload(gateway);
    // And many at once, which are served together.
    for (let count = 0; count < 50; count += 1) gateway.signal("SIGHUP");
    await reload(gateway);
  });
  assert.deepEqual(await filesOf(lab.moon), before);
  assert.equal(await stop(gateway), 0);
});

test("a reload with a broken environment changes nothing, loses no ping and logs every error", async () => {
  await using lab = await makeLab();
  const { sun, gateway } = await tunnel(lab);
  const before = await filesOf(lab.moon);
  const network = await lab.moon.snapshot();
  await withoutLoss(lab, async () => {
    await writeEnv(lab, { IPSEC_REMOTENET: "10.3.0.0/99", IPSEC_LIFETIME: "soon", IPSEC_START: "never" });
    const broken = await reload(gateway, "reload-refused");
    const blamed = broken.filter(({ event }) => event === "failure").map(({ variable }) => variable);
    assert.deepEqual(blamed.toSorted(), ["IPSEC_LIFETIME", "IPSEC_REMOTENET", "IPSEC_START"]);

    await lab.moon.run(["rm", envFile]);
    const unreadable = await reload(gateway, "reload-refused");
    assert.ok(unreadable.some(({ event, variable }) => event === "failure" && variable === "ENVFILE"));

    await lab.moon.writeFile(envFile, "IPSEC_REMOTENET 10.3.0.0/24\n");
    await reload(gateway, "reload-refused");
    await lab.moon.run(["rm", envFile]);
    await lab.moon.run(["mkdir", envFile]);
    await reload(gateway, "reload-refused");
    await lab.moon.run(["rmdir", envFile]);
  });
  assert.deepEqual(await filesOf(lab.moon), before);
  assert.deepEqual(await lab.moon.snapshot(), network);

  // It goes on as before in every sense: the next good one is followed.
  await writeEnv(lab, { IPSEC_REMOTENET: networks[1] });
  await reload(gateway);
  await tunnelTo(sun, networks[1]);
  assert.equal(await stop(gateway), 0);
});

test("a reload with another key brings the tunnel up with that key", async () => {
  await using lab = await makeLab();
  const { sun, gateway } = await tunnel(lab);
  const key = "an entirely different key for the tunnel";
  await sun.load(
    swanctlConf([
      {
        localAddress: lab.sun.address,
        remoteAddress: lab.moon.address,
        localNetworks: networks,
        remoteNetworks: lab.moon.networks,
        psk: Buffer.from(key),
      },
    ]),
  );
  const from = sun.output().length;
  await writeEnv(lab, { IPSEC_PSK: `"${key}"` });
  await reload(gateway);
  await sun.waitForTunnel({ from });
  assert.equal((await lab.moon.ping(lab.sun.host)).received, 3);
  assert.ok(!gateway.output().includes(key) && !gateway.output().includes(tunnelPsk));
  assert.equal(await stop(gateway), 0);
});

test("a reload that is asked for during the start is not lost", async () => {
  await using lab = await makeLab();
  const sun = await lab.sun.peer({ connections: [{ psk }] });
  for (const moment of ["claimed", "dataplane", "charon-started", "ready"]) {
    // The route takes programs to run, so that the start is long enough to be met.
    await writeEnv(lab, { SET_ROUTE_DEFAULT_TABLE: "yes" });
    const gateway = startGateway(lab);
    await lab.moon.writeFile(
      "/etc/next.env",
      `IPSEC_REMOTENET=${networks[1]}\nIPSEC_START=start\nSET_ROUTE_DEFAULT_TABLE=yes\n`,
    );
    // The environment is read by then, and records come only when node gets round to writing them.
    const claim = lab.moon.fromOutside("/run/vnf-ipsec/gateway.json");
    await (moment === "claimed"
      ? waitFor("the claim", () => existsSync(claim) || undefined)
      : gateway.waitForRecord(({ event }) => event === moment));
    // At once, since the next moment is only milliseconds away.
    renameSync(lab.moon.fromOutside("/etc/next.env"), lab.moon.fromOutside(envFile));
    gateway.signal("SIGHUP");
    await tunnelTo(sun, networks[1]);
    assert.equal(await stop(gateway), 0, moment);
  }
});

test("a reload that switches DEBUG changes what is logged and loses no ping", async () => {
  await using lab = await makeLab();
  const { gateway } = await tunnel(lab);
  const charonDetails = (from: number): boolean =>
    gateway
      .records()
      .slice(from)
      .some(({ program, level }) => program === "charon" && level === "debug");
  assert.equal(charonDetails(0), false);
  await withoutLoss(lab, async () => {
    await writeEnv(lab, { DEBUG: "yes" });
    await reload(gateway);
    const from = gateway.records().length;
    await waitFor("details of charon", () => (charonDetails(from) ? true : undefined));
    await writeEnv(lab);
    await reload(gateway);
    const quietFrom = gateway.records().length;
    await reload(gateway);
    assert.equal(charonDetails(quietFrom), false);
  });
  assert.equal(await stop(gateway), 0);
});

test("a reload with other IPSEC_INTERFACES starts charon anew in place, and the tunnel comes back", async () => {
  await using lab = await makeLab();
  const { sun, gateway } = await tunnel(lab);
  const former = charonOf(gateway);
  const from = sun.output().length;
  await writeEnv(lab, { IPSEC_INTERFACES: "eth0" });
  await reload(gateway);
  await sun.waitForOutput(/received DELETE for IKE_SA/, { from });
  await sun.waitForTunnel({ from });
  await waitFor("pings through the tunnel", async () =>
    (await lab.moon.ping(lab.sun.host, { count: 1 })).received === 1 ? true : undefined,
  );
  assert.notEqual(charonOf(gateway), former);
  assert.deepEqual(processesIn(lab.moon, "charon"), [charonOf(gateway)]);
  assert.ok(!gateway.records().some(({ event }) => event === "charon-died"));
  assert.equal(await stop(gateway), 0);
});

test("SIGTERM in the middle of a reload ends with 0 and leaves nothing behind", async () => {
  await using lab = await makeLab();
  await lab.sun.peer({ connections: [{ psk }] });
  const before = { network: await lab.moon.snapshot(), files: await filesOf(lab.moon) };
  const count = attempts({ usual: 6, full: 50 });
  for (let attempt = 0; attempt < count; attempt += 1) {
    await writeEnv(lab);
    const gateway = startGateway(lab);
    await hasTunnels(gateway);
    await isReady(gateway);
    await writeEnv(lab, {
      IPSEC_REMOTENET: networks[1],
      ...(attempt % 2 === 0 ? {} : { IPSEC_INTERFACES: "eth0" }),
    });
    const milliseconds = (attempt * 120) / count;
    gateway.signal("SIGHUP");
    await pause(milliseconds);
    const began = performance.now();
    assert.equal(await stop(gateway), 0);
    assert.ok(performance.now() - began < 5_000, `SIGTERM ${milliseconds} ms after SIGHUP`);
    assert.equal(gateway.stderr(), "");
    const after = { network: await lab.moon.snapshot(), files: await filesOf(lab.moon) };
    assert.deepEqual(after, before, `SIGTERM ${milliseconds} ms after SIGHUP`);
  }
});

test("a charon that is killed in the middle of a reload is replaced with the new configuration", async () => {
  await using lab = await makeLab();
  const { sun, gateway } = await tunnel(lab);
  await writeEnv(lab, { IPSEC_REMOTENET: networks[1] });
  const from = gateway.records().length;
  gateway.signal("SIGHUP");
  await gateway.waitForRecord(({ event }) => event === "connection-unloaded", { from });
  process.kill(charonOf(gateway), "SIGKILL");
  await tunnelTo(sun, networks[1]);
  assert.equal(await stop(gateway), 0);
});

for (const [directory, trouble] of [
  [dirname(rendered.connection), "full"],
  [dirname(rendered.key), "full"],
  [dirname(rendered.key), "read-only"],
] as const) {
  test(`a reload that finds ${directory} ${trouble} keeps the old configuration and the tunnel`, async () => {
    await using lab = await makeLab();
    await lab.moon.run(["mkdir", "-p", directory]);
    await lab.moon.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", directory]);
    const { sun, gateway } = await tunnel(lab);
    const spoil =
      trouble === "full"
        ? `head -c 1M /dev/zero > ${directory}/ballast 2>/dev/null || :`
        : `mount -o remount,ro ${directory}`;
    await lab.moon.run(["bash", "-c", spoil]);
    const before = await filesOf(lab.moon);
    await withoutLoss(lab, async () => {
      await writeEnv(lab, {
        IPSEC_REMOTENET: networks[1],
        IPSEC_PSK: '"another key of more than twenty bytes"',
      });
      const records = await reload(gateway, "reload-refused");
      const failure = records.find(({ event }) => event === "failure");
      assert.match(`${failure?.message}`, trouble === "full" ? /ENOSPC/ : /EROFS/);
    });
    assert.deepEqual(await filesOf(lab.moon), before);
    await tunnelTo(sun, networks[0]);

    const heal = trouble === "full" ? `rm ${directory}/ballast` : `mount -o remount,rw ${directory}`;
    await lab.moon.run(["bash", "-c", heal]);
    await writeEnv(lab, { IPSEC_REMOTENET: networks[1] });
    await reload(gateway);
    await tunnelTo(sun, networks[1]);
    assert.equal(await stop(gateway), 0);
  });
}

test("a stop that cannot remove its files says so and ends with 0", async () => {
  await using lab = await makeLab();
  const directory = dirname(rendered.key);
  await lab.moon.run(["mkdir", "-p", directory]);
  await lab.moon.run(["mount", "-t", "tmpfs", "tmpfs", directory]);
  const { gateway } = await tunnel(lab);
  await lab.moon.run(["mount", "-o", "remount,ro", directory]);
  assert.equal(await stop(gateway), 0);
  const left = gateway.records().find(({ event }) => event === "files-left");
  assert.deepEqual(left?.paths, [rendered.key]);
  if (rendered.connection !== rendered.key)
    assert.equal((await lab.moon.exec(["ls", rendered.connection])).exitCode, 2);
});
