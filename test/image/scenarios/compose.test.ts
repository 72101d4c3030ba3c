// limit: 900 seconds
import assert from "node:assert/strict";
import { test } from "node:test";
import { isPatientlyReady, patience } from "../../kernel/scenarios/patience.ts";
import { containerBlocks } from "../../support/readme-blocks.ts";
import { waitFor } from "../../support/wait-for.ts";
import { openContainerHost } from "../support/container-host.ts";
import { imageName } from "../support/image-name.ts";

test("the Compose file comes up with one command, is healthy, carries a ping through the tunnel, and goes down", async () => {
  await using host = await openContainerHost();
  await host.run(`podman tag ${imageName} openvnf/vnf-ipsec`);
  const service = host.start("podman system service --time 0 unix:///run/podman.sock");
  const environment = { DOCKER_HOST: "unix:///run/podman.sock", COMPOSE_HTTP_TIMEOUT: "300" };
  await waitFor(
    "podman's service",
    async () => (await host.run("ls /run")).includes("podman.sock") || undefined,
    {
      explain: service.output,
    },
  );

  const lines = containerBlocks.compose.trimEnd().split("\n");
  const [enter = "", makeKey = "", up = "", ping = "", down = ""] = lines;
  assert.equal(lines.length, 5);
  const run = (command: string): Promise<string> => host.run(`${enter}\n${command}`, environment);
  await run(makeKey);
  await run(up);
  for (const container of ["compose_moon_1", "compose_sun_1"]) {
    await isPatientlyReady(host.logs(container));
    await host.run(`podman healthcheck run ${container}`);
  }
  await host.logs("compose_moon_1").waitForOutput(/CHILD_SA \S+ established/, patience);
  assert.match(await run(ping), /[1-3] (packets )?received/);
  const moon = await host.run("podman exec compose_moon_1 sh -c 'vnf-ipsec status; cat /proc/1/status'");
  assert.match(moon, /^site .*\bup\b/m);
  assert.match(moon, /^CapBnd:\s*0000000000001400$/m);
  assert.match(moon, /^NoNewPrivs:\s*1$/m);
  await run(down);
  assert.equal(
    await host.run("podman ps --all --quiet; podman network ls --quiet --filter name=compose"),
    "",
  );
});
