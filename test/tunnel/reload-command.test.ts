import assert from "node:assert/strict";
import { dirname } from "node:path";
import process from "node:process";
import { test } from "node:test";
import type { ReloadReport } from "../../src/status/reload-report.ts";
import { ask, command, statusOf } from "../support/ask-gateway.ts";
import { backendUnderTest, rendered } from "../support/backend-under-test.ts";
import { linesOf } from "../support/environment-file.ts";
import { createLab, type Lab } from "../support/lab.ts";
import { hasTunnels, isReady, stop, tunnelEnvironment, tunnelPsk } from "../support/our-gateway.ts";
import type { Environment, SiteProcess } from "../support/site-process.ts";
import { charonOf, filesOf } from "../support/traces.ts";
import { waitFor } from "../support/wait-for.ts";

const psk = Buffer.from(tunnelPsk);
const envFile = "/etc/moon.env";
const isSwanctl = backendUnderTest["IPSEC_BACKEND"] === "swanctl";

const write = (lab: Lab, changes: Environment = {}): Promise<void> =>
  lab.moon.writeFile(
    envFile,
    linesOf(tunnelEnvironment(lab.moon, lab.sun, { IPSEC_START: "start", ...changes })),
  );

/** Both ends, with the tunnel that `write` describes. */
const tunnel = async (lab: Lab, changes: Environment = {}): Promise<SiteProcess> => {
  await lab.sun.peer({ connections: [{ psk }] });
  await write(lab, changes);
  const gateway = lab.moon.gateway({ ENVFILE: envFile });
  await hasTunnels(gateway);
  await isReady(gateway);
  return gateway;
};

const reload = async (lab: Lab, ...options: string[]) => {
  const { exitCode, stdout, stderr } = await command(lab.moon, "reload", ...options);
  return { exitCode, stdout, stderr };
};

const reportOf = async (lab: Lab, ...options: string[]): Promise<ReloadReport> => {
  const { exitCode, stdout, stderr } = await reload(lab, "--json", ...options);
  assert.equal(stderr, "");
  const report = JSON.parse(stdout) as ReloadReport;
  assert.equal(exitCode, report.exitCode);
  return report;
};

/** No ping through the tunnel may be lost while it happens. */
const withoutLoss = async (lab: Lab, act: () => Promise<unknown>): Promise<void> => {
  const pinging = lab.moon.continuousPing(lab.sun.host, { intervalSeconds: 0.01 });
  await pinging.waitForAnswer();
  await act();
  await pinging.waitForAnswer();
  assert.deepEqual((await pinging.stop()).missing, []);
};

const eventsOf = (gateway: SiteProcess, event: string, from = 0) =>
  gateway
    .records()
    .slice(from)
    .filter((record) => record.event === event);

/** Connections beside that to sun, which never come up. */
const others = (changes: Readonly<Record<string, object | undefined>>) =>
  Object.entries({
    rome: { remoteid: "rome.example.com" },
    oslo: { remoteid: "oslo.example.com" },
    bern: { remoteid: "bern.example.com" },
    ...changes,
  }).flatMap(([name, connection], index) =>
    connection === undefined
      ? []
      : [[name, { remoteip: "192.0.2.77", remotenet: `10.${100 + index}.0.0/16`, ...connection }]],
  );

test("reload tells which connections it added, changed, removed and gave another key, and the others lose no ping", async () => {
  await using lab = await createLab();
  await lab.sun.peer({ connections: [{ psk }] });
  const { IPSEC_REMOTENET, IPSEC_REMOTEIP, ...environment } = tunnelEnvironment(lab.moon, lab.sun);
  const site = { remoteip: IPSEC_REMOTEIP, remotenet: IPSEC_REMOTENET, start: "start" };
  const writeConnections = (changes: Readonly<Record<string, object | undefined>> = {}) =>
    lab.moon.writeFile(
      "/etc/connections.json",
      JSON.stringify({
        defaults: { start: "add" },
        connections: { site, ...Object.fromEntries(others(changes)) },
      }),
    );
  await writeConnections();
  const gateway = lab.moon.gateway({ ...environment, IPSEC_CONFIG_FILE: "/etc/connections.json" });
  await hasTunnels(gateway);
  await isReady(gateway);
  await withoutLoss(lab, async () => {
    assert.equal((await reportOf(lab)).outcome, "unchanged");
    const key = "another key of more than twenty bytes";
    await writeConnections({
      rome: { remoteid: "roma.example.com" },
      oslo: { remoteid: "oslo.example.com", psk: key },
      bern: undefined,
      wien: { remoteid: "wien.example.com" },
    });
    const before = await filesOf(lab.moon);
    const planned = await reportOf(lab, "--dry-run");
    assert.deepEqual([planned.outcome, planned.exitCode], ["planned", 0]);
    const { added, changed, withOtherKey, removed, unchanged } = planned.plan ?? assert.fail();
    assert.deepEqual(
      { added, changed, withOtherKey, removed, unchanged },
      { added: ["wien"], changed: ["rome"], withOtherKey: ["oslo"], removed: ["bern"], unchanged: 1 },
    );
    const told = await reload(lab, "--dry-run");
    assert.match(told.stdout, /^a reload would change this$.*^ +added +wien$.*^ +removed +bern$/ms);
    assert.deepEqual(await filesOf(lab.moon), before);

    const done = await reportOf(lab);
    assert.equal(done.outcome, "reloaded");
    assert.deepEqual(done.plan, planned.plan);
    assert.deepEqual((await statusOf(lab.moon)).connections.map(({ name }) => name).toSorted(), [
      "oslo",
      "rome",
      "site",
      "wien",
    ]);
    assert.ok(!gateway.output().includes(key) && !JSON.stringify(done).includes(key));
    assert.deepEqual(await reload(lab), {
      exitCode: 0,
      stdout: "reloaded: nothing has changed\n  as before          4\n",
      stderr: "",
    });
  });
  assert.equal(await stop(gateway), 0);
});

test("reload --dry-run tells that charon must start anew and why, and what is read at the next start only", async () => {
  await using lab = await createLab();
  const gateway = await tunnel(lab);
  await write(lab, {
    IPSEC_INTERFACES: "eth0",
    LOG_FORMAT: "json",
    SET_ROUTE_DEFAULT_TABLE: "yes",
    IPSEC_HTTP_LISTEN: "127.0.0.1:9100",
  });
  const before = await lab.moon.snapshot();
  const { plan } = await reportOf(lab, "--dry-run");
  assert.equal(plan?.restart, "IPSEC_INTERFACES is another");
  assert.deepEqual(plan?.routes, { added: ["10.2.0.0/24"], removed: [] });
  assert.deepEqual(plan?.atNextStart, ["LOG_FORMAT"]);
  assert.deepEqual(plan?.variables, ["IPSEC_INTERFACES", "IPSEC_HTTP_LISTEN", "LOG_FORMAT"]);
  assert.deepEqual(await lab.moon.snapshot(), before);
  const former = charonOf(gateway);
  assert.deepEqual((await reportOf(lab)).outcome, "restarted");
  await waitFor("another charon", () => charonOf(gateway) !== former || undefined);
  assert.notEqual((await statusOf(lab.moon)).connections[0]?.state, "not-loaded");
  assert.equal(await stop(gateway), 0);
});

test("a reload of what is wrong ends with the code and the lines of check, and the tunnel loses no ping", async () => {
  await using lab = await createLab();
  const gateway = await tunnel(lab);
  await withoutLoss(lab, async () => {
    await write(lab, { IPSEC_LIFETIME: "soon", IPSEC_REMOTENET: "10.3.0.0/99" });
    const checked = await lab.moon.exec(
      [process.execPath, `${import.meta.dirname}/../../src/main.ts`, "check"],
      {
        env: { ENVFILE: envFile },
      },
    );
    assert.equal(checked.exitCode, 78);
    for (const options of [[], ["--dry-run"]]) {
      const { exitCode, stdout, stderr } = await reload(lab, ...options);
      assert.equal(exitCode, 78);
      assert.equal(stderr, checked.stderr);
      assert.match(stderr, /^vnf-ipsec: error: IPSEC_LIFETIME: .*\nvnf-ipsec: hint: /m);
      assert.equal(stdout, "not reloaded: nothing was changed, the gateway goes on as before\n");
    }
    await lab.moon.run(["rm", envFile]);
    assert.equal((await reload(lab)).exitCode, 74);
    assert.equal((await reportOf(lab)).errors[0]?.variable, "ENVFILE");
  });
  assert.equal(await stop(gateway), 0);
});

const networksOf = (first: number): string =>
  Array.from({ length: 60 }, (_, index) => `10.${first}.${index}.0/24`).join(",");

/** What passes our checks, and cannot be loaded: the changes, and what an operator may have mounted that makes it so. */
const refusedByCharon = isSwanctl
  ? // Each pair is a CHILD SA of its own, which makes more than the 512 KiB of vici's messages (vici_socket.h).
    {
      changes: {
        IPSEC_KEYEXCHANGE: "ikev1",
        IPSEC_LOCALNET: networksOf(1),
        IPSEC_REMOTENET: networksOf(2),
      },
      mounted: "",
    }
  : // Two pairs of networks are two `conn`s.
    {
      changes: { IPSEC_KEYEXCHANGE: "ikev1", IPSEC_REMOTENET: "10.2.0.0/24,10.9.0.0/24" },
      mounted: "conn site_2\n  ike=aes256-coffee!\n",
    };

test("a connection that charon refuses is as it was before: in charon, on the disk, after charon's death, and for the next reload", async () => {
  await using lab = await createLab();
  if (refusedByCharon.mounted !== "")
    await lab.moon.writeFile("/etc/ipsec.config.d/ipsec.zz.conf", refusedByCharon.mounted);
  const gateway = await tunnel(lab);
  const before = await filesOf(lab.moon);
  const connectionBefore = await lab.moon.readFile(rendered.connection);
  const refuse = async () => {
    await write(lab, { ...refusedByCharon.changes, LOG_LEVEL: "debug" });
    assert.equal((await reload(lab, "--dry-run")).exitCode, 0);
    const report = await reportOf(lab);
    assert.deepEqual([report.outcome, report.exitCode], ["rolled-back", 69]);
    assert.match(`${report.errors[0]?.message}`, /^site stays as it was before: /);
  };
  // Who loads files sees only that it is not there, and that it has to be brought up again.
  if (isSwanctl) await withoutLoss(lab, refuse);
  else await refuse();
  assert.equal(eventsOf(gateway, "connection-unloaded").length, isSwanctl ? 0 : 1);
  const pings = () =>
    waitFor("pings through the tunnel", async () =>
      (await lab.moon.ping(lab.sun.host, { count: 1 })).received === 1 ? true : undefined,
    );
  await pings();
  assert.deepEqual(await filesOf(lab.moon), before);
  assert.equal(await lab.moon.readFile(rendered.connection), connectionBefore);
  const [connection] = (await statusOf(lab.moon)).connections;
  assert.equal(connection?.remote.identity, lab.sun.address);

  const former = charonOf(gateway);
  process.kill(former, "SIGKILL");
  await waitFor("another charon", () => charonOf(gateway) !== former || undefined);
  await pings();

  await write(lab, { LOG_LEVEL: "debug" });
  assert.equal((await reportOf(lab)).outcome, "unchanged");
  await write(lab, { IPSEC_LIFETIME: "2h", LOG_LEVEL: "debug" });
  assert.equal((await reportOf(lab)).outcome, "reloaded");
  await pings();
  assert.equal(await stop(gateway), 0);
});

test("a new connection that charon refuses is not there afterwards, and the others have followed", async () => {
  await using lab = await createLab();
  await lab.moon.writeFile("/etc/ipsec.config.d/ipsec.zz.conf", "conn rome\n  ike=aes256-coffee!\n");
  await lab.sun.peer({ connections: [{ psk }] });
  const { IPSEC_REMOTENET, IPSEC_REMOTEIP, ...environment } = tunnelEnvironment(lab.moon, lab.sun);
  const site = { remoteip: IPSEC_REMOTEIP, remotenet: IPSEC_REMOTENET, start: "start" };
  const writeConnections = (connections: object) =>
    lab.moon.writeFile("/etc/connections.json", JSON.stringify({ connections }));
  await writeConnections({ site });
  const gateway = lab.moon.gateway({ ...environment, IPSEC_CONFIG_FILE: "/etc/connections.json" });
  await hasTunnels(gateway);
  await isReady(gateway);
  const [[, rome], [, oslo]] = others({}) as [[string, object], [string, object]];
  await withoutLoss(lab, async () => {
    await writeConnections({
      site,
      rome: isSwanctl
        ? { ...rome, keyexchange: "ikev1", localnet: networksOf(101), remotenet: networksOf(102) }
        : rome,
      oslo,
    });
    const report = await reportOf(lab);
    assert.equal(report.outcome, "rolled-back");
    assert.match(`${report.errors[0]?.message}`, /^rome is left out: /);
  });
  assert.deepEqual((await statusOf(lab.moon)).connections.map(({ name }) => name).toSorted(), [
    "oslo",
    "site",
  ]);
  const { stdout: paths } = await lab.moon.exec(["ls", dirname(rendered.connection)]);
  assert.match(paths, /oslo\.conf/);
  assert.doesNotMatch(paths, /rome\.conf/);
  assert.equal(await stop(gateway), 0);
});

test("who asks for a reload while others do gets an answer too, and reloads do not mix", async () => {
  await using lab = await createLab();
  const gateway = await tunnel(lab);
  const from = gateway.records().length;
  const answers = await Promise.all(
    Array.from({ length: 30 }, async (_, index) => {
      if (index % 10 === 0) await write(lab, { IPSEC_LIFETIME: `${index / 10 + 1}h` });
      if (index % 3 === 0) gateway.signal("SIGHUP");
      const method = index % 2 === 0 ? "POST" : "GET";
      const { status, body } = await ask(lab.moon, method === "POST" ? "/reload" : "/reload/plan", method);
      assert.equal(status, 200);
      return (JSON.parse(body) as ReloadReport).outcome;
    }),
  );
  assert.deepEqual(
    answers.filter((outcome) => !["planned", "reloaded", "unchanged"].includes(outcome)),
    [],
  );
  assert.equal((await reportOf(lab)).exitCode, 0);
  assert.equal((await reportOf(lab, "--dry-run")).plan?.unchanged, 1);
  // Each unloads before it says that it is through.
  const steps = gateway
    .records()
    .slice(from)
    .flatMap(({ event }) => (event === "connection-unloaded" || event === "reloaded" ? [event] : []));
  assert.doesNotMatch(steps.join(), /connection-unloaded,connection-unloaded/);
  assert.equal(await stop(gateway), 0);
});

test("a stop answers whoever waits for a reload", async () => {
  await using lab = await createLab();
  for (const pause of [false, true]) {
    const gateway = await tunnel(lab);
    const before = await lab.moon.readFile(rendered.connection);
    await write(lab, { IPSEC_LIFETIME: "2h" });
    // A stopped charon answers nobody, so the reload cannot be over before the stop.
    if (pause) process.kill(charonOf(gateway), "SIGSTOP");
    const asked = ask(lab.moon, "/reload", "POST");
    if (pause)
      await waitFor("the new files", async () =>
        (await lab.moon.readFile(rendered.connection)) === before ? undefined : true,
      );
    const exitCode = stop(gateway);
    const { outcome } = JSON.parse((await asked).body) as ReloadReport;
    assert.ok(pause ? outcome === "stopping" : ["stopping", "reloaded"].includes(outcome), outcome);
    assert.equal(await exitCode, 0);
  }
});

test("where no gateway runs a reload ends with 69 and a hint", async () => {
  await using lab = await createLab();
  const { exitCode, stdout, stderr } = await reload(lab);
  assert.deepEqual({ exitCode, stdout }, { exitCode: 69, stdout: "" });
  assert.match(stderr, /^vnf-ipsec: error: no gateway runs here\nvnf-ipsec: hint: start it with /);
});

test("a reload is asked for on the socket only, and by POST", async () => {
  await using lab = await createLab();
  const gateway = await tunnel(lab, { IPSEC_HTTP_LISTEN: "127.0.0.1:9100" });
  assert.equal((await ask(lab.moon, "/reload", "GET")).status, 405);
  const overTcp = `for (const path of ["/reload", "/reload/plan"])
    for (const method of ["GET", "POST"])
      console.log((await fetch("http://127.0.0.1:9100" + path, { method })).status);`;
  const { stdout } = await lab.moon.exec([process.execPath, "--input-type=module", "-e", overTcp]);
  assert.equal(stdout, "404\n".repeat(4));
  assert.equal(eventsOf(gateway, "reloaded").length, 0);
  assert.equal(await stop(gateway), 0);
});
