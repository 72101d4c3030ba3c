// limit: 300 seconds
import assert from "node:assert/strict";
import { test } from "node:test";
import { createLab } from "../../support/lab.ts";
import { hasTunnels, isReady, tunnelEnvironment } from "../../support/our-gateway.ts";
import { privileged, startContainer } from "../support/container.ts";

test("two privileged containers with an env file carry a ping, are healthy, and a stop ends in 0 after the peer has heard of it", async () => {
  await using lab = await createLab();
  const { moon, sun } = lab;
  const [one, other] = [
    startContainer(moon, tunnelEnvironment(moon, sun), { flags: privileged }),
    startContainer(sun, tunnelEnvironment(sun, moon), { flags: privileged }),
  ];
  await Promise.all([isReady(one), isReady(other)]);
  const wire = await lab.captureWire();
  const pings = moon.continuousPing(sun.host, { intervalSeconds: 0.2 });
  await pings.waitForAnswer();
  await pings.stop();
  assert.equal((await sun.ping(moon.host, { count: 3 })).received, 3);
  await Promise.all([hasTunnels(one), hasTunnels(other)]);
  const packets = await wire.stop();
  assert.ok(packets.some((packet) => /ESP\(spi=/.test(packet)));
  assert.deepEqual(
    packets.filter((packet) => /10\.[12]\.0\./.test(packet)),
    [],
  );
  await one.isHealthy();

  const { exitCode, seconds } = await one.stop();
  assert.equal(exitCode, 0, one.output());
  assert.ok(seconds < 10, `${seconds} s`);
  await other.waitForOutput(/received DELETE for IKE_SA/);
  assert.equal((await other.stop()).exitCode, 0, other.output());
});
