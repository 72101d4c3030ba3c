// limit: 600 seconds
import assert from "node:assert/strict";
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { isPatientlyReady } from "../../kernel/scenarios/patience.ts";
import { createLab } from "../../support/lab.ts";
import { containerBlocks, siteBlocks } from "../../support/readme-blocks.ts";
import { repository } from "../../support/repository.ts";
import { openContainerHost } from "../support/container-host.ts";

test("the quick start of the README connects two hosts, one privileged container with one of the least privilege", async () => {
  await using lab = await createLab();
  await using moon = await openContainerHost(lab.moon);
  await using sun = await openContainerHost(lab.sun);
  await moon.run(siteBlocks.moon);
  await sun.run(siteBlocks.sun);

  const looked = await moon.run(containerBlocks.look);
  assert.match(looked, /^the environment is valid\n/);
  assert.match(looked, /# ==> \/etc\/ipsec\.config\.d\/ipsec\.site\.conf/);

  const witness = await lab.captureWire("ip net 10.0.0.0/8");
  await Promise.all([moon.run(containerBlocks.runMoon), sun.run(containerBlocks.runSun)]);
  const log = sun.logs("sun");
  await Promise.all([isPatientlyReady(moon.logs("moon")), isPatientlyReady(log)]);
  const said = await moon.run(containerBlocks.ping);
  assert.match(said, /[1-5] received/);
  assert.match(said, /^site .*\bup\b/m);
  assert.deepEqual(await witness.stop(), []);

  await moon.run(containerBlocks.stop);
  assert.equal(await moon.run("podman inspect --format '{{.State.ExitCode}}' moon"), "0\n");
  await log.waitForOutput(/received DELETE for IKE_SA/);
});

test("the command of the wish is a gateway in a network of its own", async () => {
  await using host = await openContainerHost();
  writeFileSync(
    `${repository}/environment.sh`,
    [
      "IPSEC_LOCALID=moon.example.com",
      "IPSEC_LOCALNET=10.1.0.0/24",
      "IPSEC_REMOTEIP=192.0.2.2",
      "IPSEC_REMOTENET=10.2.0.0/24",
      "IPSEC_PSK=a-long-enough-pre-shared-key",
    ].join("\n"),
  );
  const gateway = host.start(containerBlocks.wish);
  await isPatientlyReady(gateway);
  await host.run("podman stop --latest");
  assert.equal((await gateway.exited).exitCode, 0, gateway.output());
});

test("freezing versions as the README says copies what is installed", async () => {
  await using host = await openContainerHost();
  // The image on Debian has no apk.
  const apk = `${repository}/apk`;
  writeFileSync(
    apk,
    "#!/bin/sh\n[ \"$1\" != info ] || printf '%s\\n' nodejs-24.18.1-r0 libcrypto3-3.5.4-r0\n",
  );
  chmodSync(apk, 0o755);
  await host.run(containerBlocks.freeze, { RUN_FLAGS: `-v ${apk}:/usr/local/bin/apk:ro` });
  assert.equal(
    readFileSync(`${repository}/MANIFEST.frozen`, "utf8"),
    "libcrypto3=3.5.4-r0\nnodejs=24.18.1-r0\n",
  );
});
