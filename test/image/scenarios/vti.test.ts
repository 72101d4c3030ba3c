// limit: 300 seconds
import assert from "node:assert/strict";
import { test } from "node:test";
import { createLab } from "../../support/lab.ts";
import { isReady } from "../../support/our-gateway.ts";
import { vtiEnvironment } from "../../support/vti-environment.ts";
import { privileged, runContainer, startContainer } from "../support/container.ts";

test("a container with init makes the VTI, one with run after it carries a ping over it, and leaves it there", async () => {
  await using lab = await createLab();
  const { moon, sun } = lab;
  const ends = [
    { site: moon, environment: vtiEnvironment(moon, sun) },
    { site: sun, environment: vtiEnvironment(sun, moon) },
  ];
  for (const { site, environment } of ends) {
    const { IPSEC_PSK: _, ...withoutKey } = environment;
    const { exitCode, stdout, stderr } = await runContainer(site, withoutKey, {
      flags: privileged,
      args: ["init"],
    });
    assert.equal(exitCode, 0, stdout + stderr);
  }
  const gateways = ends.map(({ site, environment }) =>
    startContainer(site, environment, { flags: privileged }),
  );
  await Promise.all(gateways.map((gateway) => isReady(gateway)));
  const pings = moon.continuousPing(sun.host, { intervalSeconds: 0.2 });
  await pings.waitForAnswer();
  await pings.stop();
  const [link] = JSON.parse(await moon.run(["ip", "-json", "-statistics", "link", "show", "dev", "vti42"]));
  assert.ok(link.stats64.rx.packets > 0);
  for (const gateway of gateways) assert.equal((await gateway.stop()).exitCode, 0, gateway.output());
  assert.match(await moon.run(["ip", "link", "show", "dev", "vti42"]), /vti42/);
});

test("a container without the VTI that it is to use ends in 69", async () => {
  await using lab = await createLab();
  const { moon, sun } = lab;
  const { exitCode, stderr } = await runContainer(moon, vtiEnvironment(moon, sun), { flags: privileged });
  assert.equal(exitCode, 69, stderr);
  assert.match(stderr, /IPSEC_VTI_KEY: vti42 does not exist/);
});
