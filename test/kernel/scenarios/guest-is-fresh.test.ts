import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, rmdir, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { command } from "../guest/command.ts";
import { marks } from "../guest/marks.ts";

for (const folder of ["/run", "/tmp", "/dev/shm", "/var/lib/containers"])
  test(`${folder} is a tmpfs of the guest`, async () => {
    assert.equal((await command("stat", "--file-system", "--format=%T", folder)).trim(), "tmpfs");
  });

test("/run holds no socket or pid file of the host's daemons", async () => {
  const names = await readdir("/run", { recursive: true });
  assert.deepEqual(
    names.filter((name) => /\.(pid|sock|socket|vici|ctl)$/.test(name)),
    [],
  );
});

// kernel.test.ts looks for these files on the host when all scenarios have run.
for (const mark of marks)
  test(`${mark} can be written`, async () => {
    assert.ok(!existsSync(mark));
    await writeFile(mark, "written by the guest");
    assert.equal(await readFile(mark, "utf8"), "written by the guest");
    await rm(mark);
    await writeFile(mark, "written by the guest");
  });

test("the host refuses a write even if the guest goes around its own overlay", async (context) => {
  const folder = await mkdtemp("/tmp/host-");
  await command("mount", "-t", "virtiofs", "root", folder);
  context.after(async () => {
    await command("umount", folder);
    await rmdir(folder);
  });
  // It is the mount below the overlay over again, and that is read-only in the guest too.
  await command("mount", "-o", "remount,rw", folder);
  assert.ok(existsSync(`${folder}/etc/os-release`));
  for (const place of ["etc", "tmp", "usr", "var/lib"])
    await assert.rejects(writeFile(`${folder}/${place}/vnf-ipsec-guest-mark`, ""), { code: "EROFS" });
});

test("no device leads out of the guest", async () => {
  const devices = await readdir("/sys/class/net");
  assert.ok(devices.includes("lo"));
  assert.deepEqual(
    devices.filter((name) => existsSync(`/sys/class/net/${name}/device`)),
    [],
  );
  await assert.rejects(command("ping", "-c", "1", "-W", "1", "192.0.2.1"), /unreachable/i);
});
