// limit: 180 seconds
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rmdir } from "node:fs/promises";
import process from "node:process";
import { after, before, test } from "node:test";
import { command } from "../guest/command.ts";

/** Those that a VTI and its ESP take, for IPv4 and IPv6. */
const forInit = [
  ["xfrm_user", "esp4", "ip_vti"],
  ["xfrm_user", "esp6", "ip6_vti"],
] as const;

const further = ["xfrm_interface", "gcm", "authenc", "veth", "sch_netem", "nf_tables", "tun"];

const environments = [
  { IPSEC_LOCALIP: "192.0.2.1", IPSEC_REMOTEIP: "192.0.2.2", IPSEC_VTI_KEY: "42" },
  { IPSEC_LOCALIP: "2001:db8::1", IPSEC_REMOTEIP: "2001:db8::2", IPSEC_VTI_KEY: "43" },
] as const;

// Not a lab: to make one is to load modules.
before(() => command("ip", "netns", "add", "moon"));
after(() => command("ip", "netns", "delete", "moon"));

test("a fresh guest has no module that an IPsec gateway or its test needs", async () => {
  const loaded = await loadedModules();
  assert.deepEqual(
    [...forInit.flat(), ...further].filter((name) => loaded.has(name)),
    [],
  );
});

test("where modules cannot be loaded init warns of each, and the interface's creation decides and says what to do", async () => {
  const nothing = await mkdtemp("/tmp/nothing-");
  await command("mount", "--bind", nothing, "/lib/modules");
  const { exitCode, stderr, records } = await init(environments[0]);
  await command("umount", "/lib/modules");
  await rmdir(nothing);
  assert.equal(exitCode, 69, stderr);
  const warnings = records.filter(({ event }) => event === "host-unchanged");
  assert.deepEqual(
    warnings.map((warning) => warning["command"]),
    forInit[0].map((name) => `modprobe ${name}`),
  );
  for (const { level, reason } of warnings) {
    assert.equal(level, "warn");
    assert.match(`${reason}`, /not found in directory/);
  }
  assert.match(
    stderr,
    /^vnf-ipsec: error: cannot create the virtual interface vti42: ip link add vti42 type vti local 192\.0\.2\.1 remote 192\.0\.2\.2 key 42: .*Unknown device type\.\nvnf-ipsec: hint: .*modprobe ip_vti/,
  );
  assert.doesNotMatch(await command("ip", "-netns", "moon", "link"), /vti42/);
});

for (const [index, names] of forInit.entries())
  test(`init loads ${names.join(", ")}, and a second one has nothing to do`, async () => {
    const environment = environments[index] ?? assert.fail();
    const first = await init(environment);
    assert.equal(first.exitCode, 0, first.stderr);
    const loaded = await loadedModules();
    for (const name of names) assert.ok(loaded.has(name), name);
    const told = first.records.map((record) => `${record["command"]}`);
    for (const name of names.filter((name) => index === 0 || name !== "xfrm_user"))
      assert.ok(told.includes(`modprobe ${name}`), told.join("\n"));
    const second = await init(environment);
    assert.equal(second.exitCode, 0, second.stderr);
    assert.equal(second.records.find(({ event }) => event === "initialised")?.["changes"], 0);
    assert.deepEqual(await loadedModules(), loaded);
  });

test("modprobe loads what else a gateway or its test can use", async () => {
  for (const name of further) await command("modprobe", name);
  const loaded = await loadedModules();
  assert.deepEqual(
    further.filter((name) => !loaded.has(name)),
    [],
  );
});

const loadedModules = async (): Promise<ReadonlySet<string>> =>
  new Set([...(await readFile("/proc/modules", "utf8")).matchAll(/^\S+/gm)].map(([name]) => name));

type Ended = {
  readonly exitCode: number;
  readonly stderr: string;
  readonly records: readonly Readonly<Record<string, unknown>>[];
};

const init = (environment: Readonly<Record<string, string>>): Promise<Ended> =>
  new Promise((resolve) => {
    const argv = ["netns", "exec", "moon", process.execPath, "dist/vnf-ipsec", "init"];
    const env = { PATH: process.env["PATH"], ...environment };
    execFile("ip", argv, { env }, (error, stdout, stderr) => {
      const records = stdout.trim().split("\n").filter(Boolean);
      resolve({
        exitCode: error === null ? 0 : Number(error.code),
        stderr,
        records: records.map((record) => JSON.parse(record)),
      });
    });
  });
