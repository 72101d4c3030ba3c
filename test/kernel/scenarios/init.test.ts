// limit: 500 seconds
// full limit: 3600 seconds
import assert from "node:assert/strict";
import process from "node:process";
import { before, suite, test } from "node:test";
import { createLab } from "../../support/lab.ts";
import type { Namespace } from "../../support/namespace.ts";
import { installRefusingPrograms, refusal } from "../../support/refusing-programs.ts";
import { attempts } from "../../support/scale.ts";
import type { Site } from "../../support/site.ts";
import type { Environment, LogRecord } from "../../support/site-process.ts";
import { vtiEnvironment } from "../../support/vti-environment.ts";
import { command } from "../guest/command.ts";

process.env.VNF_IPSEC_COMMAND = "node dist/vnf-ipsec";

// It makes a device in every network namespace as it is loaded, and keeps it.
before(() => command("modprobe", "ip_vti"));

/** One `init`: how it ended, what it said, and how many changes it counted. */
const init = async (site: Site, environment: Environment) => {
  const process = site.gateway(environment, { args: ["init"] });
  const { exitCode } = await process.exited;
  const done = process.records().find(({ event }) => event === "initialised");
  return { exitCode, changes: done?.["changes"], process };
};

test("init makes the interface with key, ends, address, routes, MTU and settings, and finds nothing to do the next times", async () => {
  await using lab = await createLab();
  const { moon, sun } = lab;
  const environment = vtiEnvironment(moon, sun);
  // Strict, as some distributions have it: then the larger of two values counts.
  await moon.run(["sysctl", "-qw", "net.ipv4.conf.all.rp_filter=1"]);
  const first = await init(moon, environment);
  assert.equal(first.exitCode, 0, first.process.output());
  const [link] = JSON.parse(await moon.run(["ip", "-json", "-details", "link", "show", "dev", "vti42"]));
  assert.equal(link.linkinfo.info_kind, "vti");
  assert.equal(link.linkinfo.info_data.local, moon.address);
  assert.equal(link.linkinfo.info_data.remote, sun.address);
  assert.equal(link.linkinfo.info_data.ikey, "0.0.0.42");
  assert.equal(link.linkinfo.info_data.okey, "0.0.0.42");
  assert.equal(link.mtu, 1422);
  assert.ok(link.flags.includes("UP"));
  assert.match(
    await moon.run(["ip", "address", "show", "dev", "vti42"]),
    /inet 169\.254\.10\.1 peer 169\.254\.10\.2\/32/,
  );
  assert.match(await moon.run(["ip", "route", "show", "dev", "vti42"]), /10\.2\.0\.0\/24/);
  assert.deepEqual(await settingsOf(moon), ["disable_policy 1", "rp_filter 2"]);
  const made = await moon.snapshot();
  for (let time = 0; time < attempts({ usual: 2, full: 100 }); time += 1) {
    const again = await init(moon, environment);
    assert.deepEqual([again.exitCode, again.changes], [0, 0], again.process.output());
  }
  assert.deepEqual(await moon.snapshot(), made);
});

suite("whichever command of init fails", { concurrency: true }, () => {
  test("where nothing was there, nothing is left, and the message names command, reason and remedy", async () => {
    await using lab = await createLab();
    const { moon, sun } = lab;
    // In usual runs only the last command: the other test fails the same ones, among more.
    await failEach(moon, vtiEnvironment(moon, sun), { first: attempts({ usual: 6, full: 1 }), atLeast: 6 });
  });

  test("where an interface of another key was there, it is there again with its address, route and settings", async () => {
    await using lab = await createLab();
    const { moon, sun } = lab;
    const ends = `local ${moon.address} remote ${sun.address}`;
    const commands = [
      `link add vti42 mtu 1400 type vti ${ends} key 7`,
      "address add 169.254.20.1 peer 169.254.20.2 dev vti42",
      "link set dev vti42 up",
      "route add 10.77.0.0/16 dev vti42",
    ];
    await moon.run(["ip", "-batch", "-"], { input: `${commands.join("\n")}\n` });
    await moon.run(["sysctl", "-qw", "net.ipv4.conf.vti42.disable_policy=1"]);
    await failEach(moon, vtiEnvironment(moon, sun), { first: 1, atLeast: 11 });
  });
});

test("a read-only /proc/sys is no fault where its values are right already, and else the hint is the line to add", async () => {
  await using lab = await createLab();
  const { moon, sun } = lab;
  const remount = (mode: "ro" | "rw") => moon.run(["mount", "-o", `remount,bind,${mode}`, "/proc/sys"]);
  await moon.run(["mount", "--bind", "/proc/sys", "/proc/sys"]);
  await remount("ro");
  const before = await moon.snapshot();
  const refused = await init(moon, vtiEnvironment(moon, sun));
  assert.equal(refused.exitCode, 77, refused.process.output());
  assert.match(
    refused.process.stderr(),
    /^vnf-ipsec: hint: .*--sysctl net\.ipv4\.conf\.default\.disable_policy=1, .*\(initContainer\)$/m,
  );
  assert.deepEqual(await moon.snapshot(), before);

  await remount("rw");
  await moon.run(["sysctl", "-qw", "net.ipv4.conf.default.disable_policy=1"]);
  await remount("ro");
  const right = await init(moon, vtiEnvironment(moon, sun));
  assert.equal(right.exitCode, 0, right.process.output());
  assert.doesNotMatch(right.process.output(), /sysctl/);
  assert.deepEqual(await settingsOf(moon), ["disable_policy 1", "rp_filter 0"]);
});

/**
 * Refuses one command of `init`, then one after it, until one is beyond the last and `init` succeeds. Each time the
 * host must be as before. A usual run takes every third: with stand-ins for the host test/process/init.test.ts takes
 * each. A module that cannot be loaded is for a guest of its own: here they are loaded already.
 */
const failEach = async (
  moon: Site,
  environment: Environment,
  { first, atLeast }: { readonly first: number; readonly atLeast: number },
): Promise<void> => {
  const programs = await installRefusingPrograms(moon);
  const before = await stateOf(moon);
  for (let change = first; ; change += attempts({ usual: 3, full: 1 })) {
    await programs.refuse(change);
    const { exitCode, process } = await init(moon, { ...environment, PATH: programs.searchPath });
    const changes = await programs.changes();
    if (exitCode === 0 && changes.length < change) {
      assert.ok(changes.length >= atLeast, changes.join("\n"));
      assert.equal(process.records().filter(isChange).length, changes.length);
      return;
    }
    const refused = changes[change - 1] ?? "";
    assert.equal(exitCode, 69, `${refused}\n${process.output()}`);
    const [error = "", hint = "", ...others] = process.stderr().trim().split("\n");
    assert.ok(error.startsWith("vnf-ipsec: error: cannot "), error);
    assert.ok(error.endsWith(`: ${refused}: ${refusal}`), error);
    assert.match(hint, /^vnf-ipsec: hint: \S/);
    assert.deepEqual(others, []);
    assert.deepEqual(await stateOf(moon), before, `after ${refused}`);
  }
};

const isChange = ({ event }: LogRecord): boolean => event === "host-changed";

/** What `init` can change, in few programs, since this is asked for often. An interface that is made again has another number. */
const stateOf = async (site: Site): Promise<readonly string[]> => {
  const input = "link show\naddress show\nroute show table all\n";
  const network = await site.run(["ip", "-details", "-batch", "-"], { input });
  const settings = await site.exec(settingsCommand);
  return [network.replace(/^\d+: /gm, ""), settings.stdout];
};

const settingsCommand = [
  "bash",
  "-c",
  "cd /proc/sys/net/ipv4/conf/vti42 && for name in disable_policy rp_filter; do echo $name $(<$name); done",
] as const;

const settingsOf = async (namespace: Namespace): Promise<readonly string[]> =>
  (await namespace.run(settingsCommand)).trim().split("\n");
