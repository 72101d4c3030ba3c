// limit: 240 seconds
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { command } from "../../kernel/guest/command.ts";
import { repository } from "../../support/repository.ts";
import { noNetwork, runContainer } from "../support/container.ts";
import { imageName } from "../support/image-name.ts";
import { loneTunnel } from "../support/lone-tunnel.ts";

const inspect = async (): Promise<{ Size: number; Config: Record<string, unknown>; Healthcheck: unknown }> =>
  JSON.parse(await command("podman", "image", "inspect", imageName))[0];

test("the image says what it is, how it ends and how its health is seen", async () => {
  const { version } = JSON.parse(readFileSync(`${repository}/package.json`, "utf8"));
  const { Config: config, Healthcheck: healthcheck } = await inspect();
  const labels = config["Labels"] as Record<string, string>;
  assert.equal(labels["org.opencontainers.image.version"], version);
  assert.equal(labels["org.opencontainers.image.title"], "vnf-ipsec");
  assert.equal(labels["org.opencontainers.image.licenses"], "Apache-2.0");
  assert.match(labels["org.opencontainers.image.created"] ?? "", /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  assert.deepEqual(config["Entrypoint"], ["tini", "--", "vnf-ipsec"]);
  assert.deepEqual(config["Cmd"], ["run"]);
  assert.equal(config["StopSignal"], "SIGTERM");
  assert.deepEqual((healthcheck as { Test: unknown }).Test, ["CMD", "vnf-ipsec", "healthcheck"]);
});

test("the image on Debian is less than 235 MB", async () => {
  const { Size: bytes } = await inspect();
  assert.ok(bytes < 235e6, `${bytes} bytes`);
});

test("nothing that builds is in the image, no cache and no list of packages, and nothing of the builder's host", async () => {
  const shell = ["--entrypoint", "sh"];
  const found = `for program in npm npx cc gcc g++ make git python3; do command -v $program; done
    find /var/lib/apt/lists /var/cache/apt /var/log /tmp /src /etc/apt/sources.list /run/secrets /root/.npmrc -type f 2>/dev/null
    test -x /usr/local/bin/freeze_apk_versions || echo no freeze_apk_versions`;
  const { exitCode, stdout } = await runContainer(noNetwork, {}, { flags: shell, args: ["-c", found] });
  assert.deepEqual([stdout, exitCode], ["", 0]);
});

test("render works as somebody without privileges, on a read-only root without a network", async () => {
  const flags = ["--user", "1000:1000", "--cap-drop=ALL", "--read-only", "--read-only-tmpfs=false"];
  const { exitCode, stdout, stderr } = await runContainer(noNetwork, loneTunnel, { flags, args: ["render"] });
  assert.equal(exitCode, 0, stderr);
  assert.match(stdout, /leftsubnet=10\.1\.0\.0\/24/);
});

test("a wrong environment ends the container in 78", async () => {
  const { exitCode, stderr } = await runContainer(noNetwork, {
    ...loneTunnel,
    IPSEC_REMOTENET: "10.2.0.0/33",
  });
  assert.equal(exitCode, 78, stderr);
  assert.match(stderr, /error: IPSEC_REMOTENET/);
});

test("a wrong command line ends the container in 64", async () => {
  const { exitCode } = await runContainer(noNetwork, loneTunnel, { args: ["rum"] });
  assert.equal(exitCode, 64);
});
