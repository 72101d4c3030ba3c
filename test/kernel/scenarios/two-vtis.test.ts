// limit: 300 seconds
import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { createLab } from "../../support/lab.ts";
import { stop } from "../../support/our-gateway.ts";
import type { Site } from "../../support/site.ts";
import { readHubPage } from "./hub-page.ts";
import { isPatientlyReady, patience } from "./patience.ts";

process.env.VNF_IPSEC_COMMAND = "node dist/vnf-ipsec";

test("the page on virtual interfaces makes two VTIs to two peers, each with the packets of its own tunnel", async () => {
  const { files, commands } = readHubPage("Two peers with VTIs");
  assert.equal(files.length, 4);
  await using lab = await createLab({ router: true, venus: {} });
  const { moon, sun, venus } = lab;
  const peers = [
    [sun, "vti42", "a long random text for sun"],
    [venus, "vti43", "a long random text for venus"],
  ] as const;
  for (const [site, , psk] of peers) await site.peer({ connections: [{ psk: Buffer.from(psk) }] });
  for (const [path, content] of files) await moon.writeFile(path, content, 0o600);

  const inits = commands.filter(({ words }) => words[1] === "init");
  assert.equal(inits.length, 2);
  for (const { environment, words } of inits) {
    const init = moon.gateway(environment, { args: words.slice(1) });
    assert.equal((await init.exited).exitCode, 0, init.output());
  }
  const [run] = commands.filter(({ words }) => words[1] === "run");
  assert.ok(run !== undefined);
  const gateway = moon.gateway(run.environment, { args: ["run"] });
  await isPatientlyReady(gateway);

  const wire = await lab.captureWire();
  for (const [site, device] of peers) {
    const before = await passed(moon);
    const pings = moon.continuousPing(site.host, { intervalSeconds: 0.2 });
    await pings.waitForAnswer(patience);
    await pings.stop();
    assert.equal((await site.ping(moon.host)).received, 3);
    const after = await passed(moon);
    for (const [, name] of peers)
      assert.equal((after.get(name) ?? 0) - (before.get(name) ?? 0) >= 4, name === device, name);
  }
  const others = (await wire.stop()).filter((packet) => !/ESP\(spi=|isakmp| ARP,/.test(packet));
  assert.deepEqual(others, []);
  assert.equal(await stop(gateway), 0);

  const removals = commands.filter(({ words }) => words[0] === "ip");
  assert.equal(removals.length, 2);
  for (const { words } of removals) await moon.run(words);
  assert.doesNotMatch(await moon.run(["ip", "link"]), /vti4/);
});

/** Packets that came in over each device. */
const passed = async (site: Site): Promise<ReadonlyMap<string, number>> => {
  const links: readonly LinkStatistics[] = JSON.parse(
    await site.run(["ip", "-json", "-statistics", "link", "show"]),
  );
  return new Map(links.map(({ ifname, stats64 }) => [ifname, stats64.rx.packets]));
};

type LinkStatistics = { readonly ifname: string; readonly stats64: { readonly rx: { packets: number } } };
