// limit: 300 seconds
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { command } from "../../kernel/guest/command.ts";
import { createLab } from "../../support/lab.ts";
import { isReady, tunnelEnvironment } from "../../support/our-gateway.ts";
import { noNetwork, privileged, runContainer, startContainer } from "../support/container.ts";
import { loneTunnel } from "../support/lone-tunnel.ts";
import { leastPrivilege, onlyCapabilities, readOnly } from "../support/privileges.ts";

test("NET_ADMIN and NET_BIND_SERVICE suffice where the modules are there, with a read-only root and either backend", async () => {
  await using lab = await createLab();
  const { moon, sun } = lab;
  await command("modprobe", "--all", "xfrm_user", "esp4");
  const one = startContainer(moon, tunnelEnvironment(moon, sun), { flags: leastPrivilege() });
  const throughVici = tunnelEnvironment(sun, moon, { IPSEC_BACKEND: "swanctl" });
  const other = startContainer(sun, throughVici, { flags: leastPrivilege() });
  await Promise.all([isReady(one), isReady(other)]);
  const pings = moon.continuousPing(sun.host, { intervalSeconds: 0.2 });
  await pings.waitForAnswer();
  await pings.stop();
  await one.isHealthy();
  await assert.rejects(one.exec("touch", "/etc/vnf-ipsec"), /Read-only file system/);
  // Once it has its ports charon keeps NET_ADMIN alone.
  const status = await one.exec("sh", "-c", "cat /proc/$(pidof charon)/status");
  assert.match(status, /^CapEff:\s*0000000000001000\nCapBnd:\s*0000000000001400$/m);
  for (const container of [one, other]) {
    const { exitCode } = await container.stop();
    assert.equal(exitCode, 0, container.output());
  }
});

for (const capability of ["NET_ADMIN", "NET_BIND_SERVICE"] as const)
  test(`without ${capability} it ends in 77 and says so in one line`, async () => {
    const others = (["NET_ADMIN", "NET_BIND_SERVICE"] as const).filter((name) => name !== capability);
    const flags = [...onlyCapabilities(...others), ...readOnly()];
    const { exitCode, stdout, stderr } = await runContainer(noNetwork, loneTunnel, { flags });
    assert.equal(exitCode, 77, stdout + stderr);
    assert.deepEqual(stderr.split("\n").filter((line) => line.includes("error:")).length, 1, stderr);
    assert.match(stderr, new RegExp(`error: .*${capability}`));
  });

test("where charon would become another user, as on Alpine, the two still suffice, since it stays root", async (context) => {
  await using lab = await createLab();
  const { moon, sun } = lab;
  await command("modprobe", "--all", "xfrm_user", "esp4");
  const folder = mkdtempSync("/tmp/alpine-");
  context.after(() => rmSync(folder, { recursive: true }));
  const own = await runContainer(noNetwork, {}, { flags: ["--entrypoint", "cat"], args: ["/etc/passwd"] });
  writeFileSync(`${folder}/passwd`, `${own.stdout}ipsec:x:100:100::/nonexistent:/usr/sbin/nologin\n`);
  // Alpine builds strongSwan with this for a default.
  writeFileSync(`${folder}/user.conf`, "charon {\n\tuser = ipsec\n\tgroup = users\n}\n");
  const asOnAlpine = [
    ...["-v", `${folder}/passwd:/etc/passwd:ro`],
    ...["-v", `${folder}/user.conf:/usr/local/share/strongswan.d/user.conf:ro`],
  ];
  const gateway = startContainer(moon, tunnelEnvironment(moon, sun), {
    flags: [...leastPrivilege(), ...asOnAlpine],
  });
  await isReady(gateway);
  assert.match(gateway.output(), /running as uid 0/);
  assert.equal((await gateway.stop()).exitCode, 0, gateway.output());

  const privilegedGateway = startContainer(moon, tunnelEnvironment(moon, sun), {
    flags: [...privileged, ...asOnAlpine],
  });
  await isReady(privilegedGateway);
  assert.match(privilegedGateway.output(), /running as uid 100/);
  assert.equal((await privilegedGateway.stop()).exitCode, 0, privilegedGateway.output());
});
