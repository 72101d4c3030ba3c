// limit: 300 seconds
import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { createLab, type Lab } from "../../support/lab.ts";
import type { Site } from "../../support/site.ts";
import { vtiEnvironment } from "../../support/vti-environment.ts";

process.env.VNF_IPSEC_COMMAND = "node dist/vnf-ipsec";

const init = async (site: Site, environment: Record<string, string>) => {
  const process = site.gateway(environment, { args: ["init"] });
  const { exitCode } = await process.exited;
  return {
    exitCode,
    changes: process.records().find((record) => record["event"] === "initialised")?.["changes"],
    process,
  };
};

const withLab = async (run: (lab: Lab) => Promise<void>): Promise<void> => {
  await using lab = await createLab();
  await run(lab);
};

test("init makes the interface with key, ends, address, routes, MTU and settings, and finds nothing to do the next time", () =>
  withLab(async ({ moon, sun }) => {
    const environment = vtiEnvironment(moon, sun);
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
    assert.equal((await moon.run(["sysctl", "-n", "net.ipv4.conf.vti42.disable_policy"])).trim(), "1");
    const second = await init(moon, environment);
    assert.deepEqual([second.exitCode, second.changes], [0, 0], second.process.output());
  }));

test("two gateways over VTIs with selectors for everything pass a ping both ways, and only ESP is seen between them", () =>
  withLab(async (lab) => {
    const { moon, sun } = lab;
    for (const [site, peer] of [
      [moon, sun],
      [sun, moon],
    ] as const) {
      const { exitCode, process } = await init(site, vtiEnvironment(site, peer));
      assert.equal(exitCode, 0, process.output());
    }
    const gateways = [moon.gateway(vtiEnvironment(moon, sun)), sun.gateway(vtiEnvironment(sun, moon))];
    for (const gateway of gateways) await gateway.waitForRecord((record) => record["event"] === "ready");
    const wire = await lab.captureWire();
    const pings = moon.continuousPing(sun.host, { intervalSeconds: 0.2 });
    await pings.waitForAnswer();
    assert.ok((await pings.stop()).received > 0);
    assert.equal((await sun.ping(moon.host, { count: 3 })).received, 3);
    const packets = await wire.stop();
    assert.deepEqual(
      packets.filter((packet) => /10\.[12]\.0\./.test(packet)),
      [],
    );
    assert.ok(packets.some((packet) => /ESP/.test(packet)));
    for (const gateway of gateways) gateway.signal("SIGTERM");
    for (const gateway of gateways) assert.equal((await gateway.exited).exitCode, 0);
    // What init made belongs to whoever ran it.
    assert.match(await moon.run(["ip", "link", "show", "dev", "vti42"]), /vti42/);
  }));
