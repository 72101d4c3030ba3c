// limit: 300 seconds
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { command } from "../../kernel/guest/command.ts";
import { createLab } from "../../support/lab.ts";
import { isReady, tunnelEnvironment } from "../../support/our-gateway.ts";
import { runContainer, startContainer } from "../support/container.ts";
import { leastPrivilege } from "../support/privileges.ts";

test("a reload that finds the disk full changes nothing, and the tunnel goes on", async (context) => {
  await using lab = await createLab();
  const { moon, sun } = lab;
  await command("modprobe", "--all", "xfrm_user", "esp4");
  const folder = mkdtempSync("/tmp/environment-");
  context.after(() => rmSync(folder, { recursive: true }));
  const write = (environment: Record<string, string>): void =>
    writeFileSync(
      `${folder}/moon.env`,
      Object.entries(environment)
        .map(([name, value]) => `${name}='${value}'\n`)
        .join(""),
    );
  const environment = { ...tunnelEnvironment(moon, sun) };
  write(environment);
  const one = startContainer(
    moon,
    { ENVFILE: "/variables/moon.env" },
    {
      flags: [...leastPrivilege(), "-v", `${folder}:/variables:ro`],
    },
  );
  const other = startContainer(sun, tunnelEnvironment(sun, moon), { flags: leastPrivilege() });
  await Promise.all([isReady(one), isReady(other)]);
  const configuration = () => one.exec("cat", "/etc/ipsec.config.d/ipsec.site.conf");
  const before = await configuration();
  await one.exec("sh", "-c", "! cat /dev/zero >/etc/ipsec.config.d/filler 2>/dev/null");
  write({ ...environment, IPSEC_LIFETIME: "2h" });
  await command("podman", "kill", "--signal", "HUP", one.name);
  await one.waitForRecord(({ event }) => event === "reload-refused");
  assert.match(one.output(), /ENOSPC/);
  assert.equal(await configuration(), before);
  const pings = moon.continuousPing(sun.host, { intervalSeconds: 0.2 });
  await pings.waitForAnswer();
  await pings.stop();
  for (const container of [one, other])
    assert.equal((await container.stop()).exitCode, 0, container.output());
});

test("a start that finds the disk full ends in 74 and keeps the configuration that is there", async (context) => {
  await using lab = await createLab();
  const { moon, sun } = lab;
  const folder = "/tmp/full-disk";
  mkdirSync(folder);
  await command("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder);
  context.after(async () => {
    await command("umount", folder);
    rmSync(folder, { recursive: true });
  });
  writeFileSync(`${folder}/ipsec.site.conf`, "# of somebody else\n");
  assert.throws(() => writeFileSync(`${folder}/filler`, Buffer.alloc(1e6)), { code: "ENOSPC" });
  const { exitCode, stderr } = await runContainer(moon, tunnelEnvironment(moon, sun), {
    flags: [...leastPrivilege("/etc/ipsec.config.d"), "-v", `${folder}:/etc/ipsec.config.d`],
  });
  assert.equal(exitCode, 74, stderr);
  assert.match(stderr, /\/etc\/ipsec\.config\.d\/ipsec\.site\.conf cannot be written: ENOSPC/);
  assert.equal(readFileSync(`${folder}/ipsec.site.conf`, "utf8"), "# of somebody else\n");
});
