// limit: 300 seconds
import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { createLab } from "../../support/lab.ts";
import { stop } from "../../support/our-gateway.ts";
import type { Site } from "../../support/site.ts";
import type { Environment } from "../../support/site-process.ts";
import { waitFor } from "../../support/wait-for.ts";
import { readHubPage } from "./hub-page.ts";
import { isPatientlyReady, patience } from "./patience.ts";

process.env.VNF_IPSEC_COMMAND = "node dist/vnf-ipsec";

/** Behind sun, and in none of the lab's networks. */
const elsewhere = "203.0.113.1";

test("one XFRM interface carries IPv4 and IPv6 to two peers, as the page makes it, and all else to one of them, but not the tunnels' own packets", async () => {
  const { files, commands } = readHubPage("Two peers on one XFRM interface");
  assert.equal(files.length, 3);
  await using lab = await createLab({ router: true, ipv6: true, venus: {} });
  const { moon, sun, venus } = lab;
  await sun.run(["ip", "address", "add", `${elsewhere}/32`, "dev", "lo"]);
  await venus.peer({ connections: [{ psk: Buffer.from("a long random text for venus") }] });
  const before = await sun.snapshot();
  const spoke = sun.gateway(spokeEnvironment(sun, moon), { args: ["run", "--with-init"] });
  for (const [path, content] of files) await moon.writeFile(path, content, 0o600);
  const init = commands.find(({ words }) => words[1] === "init") ?? assert.fail();
  const made = moon.gateway(init.environment, { args: ["init"] });
  assert.equal((await made.exited).exitCode, 0, made.output());
  const run = commands.find(({ words }) => words[1] === "run") ?? assert.fail();
  const hub = moon.gateway(run.environment, { args: ["run"] });
  await Promise.all([hub, spoke].map((gateway) => isPatientlyReady(gateway)));
  assert.doesNotMatch(hub.output(), /"not-loaded"/);
  assert.deepEqual(await linkOf(moon), { kind: "xfrm", if_id: "0x2a", mtu: 1422 });

  const wire = await lab.captureWire();
  for (const site of [sun, venus]) {
    for (const host of site.hosts) await isAnswered(moon, host, hub.output);
    for (const host of moon.hosts) assert.equal((await site.ping(host)).received, 3, host);
    const toSite = (packet: string) => packet.includes("ESP(spi=") && packet.includes(`> ${site.address}`);
    assert.ok((await wire.packets()).some(toSite), site.name);
  }
  assert.equal((await moon.ping(elsewhere, { from: moon.host })).received, 3);
  assert.equal(await loops(moon), 0);

  const around = `ip route show ${sun.address} proto 50`;
  assert.match(await moon.run(["bash", "-c", around]), /^192\.0\.2\.2 via 192\.0\.2\.254 dev eth0 *$/m);
  const theft = `ip route delete ${sun.address} proto 50 && ip route get ${sun.address}`;
  assert.match(await moon.run(["bash", "-c", theft]), /dev xfrm42/);
  await waitFor(
    "the route around the interface to be put back",
    async () => (/ via /.test(await moon.run(["bash", "-c", around])) ? true : undefined),
    { explain: hub.output, ...patience },
  );
  await isAnswered(moon, elsewhere, hub.output);
  const others = (await wire.stop()).filter(
    (packet) => !/ESP\(spi=|isakmp| ARP,|neighbor (?:sol|adv)/.test(packet),
  );
  assert.deepEqual(others, []);

  assert.deepEqual(await Promise.all([hub, spoke].map(stop)), [0, 0]);
  assert.deepEqual(await sun.snapshot(), before);
  const removals = commands.filter(({ words }) => words[0] === "ip");
  assert.equal(removals.length, 3);
  for (const { words } of removals) await moon.run(words);
  assert.doesNotMatch(await moon.run(["ip", "route"]), /xfrm|proto 50/);
});

/** The other end knows another number, and only the networks that it shares. */
const spokeEnvironment = (own: Site, hub: Site): Environment => ({
  IPSEC_LOCALIP: own.address,
  IPSEC_REMOTEIP: hub.address,
  IPSEC_LOCALNET: [...own.networks, elsewhere].join(","),
  IPSEC_REMOTENET: hub.networks.join(","),
  IPSEC_PSK: "a long random text for sun",
  IPSEC_BACKEND: "swanctl",
  IPSEC_XFRM_IF_ID: "7",
  IPSEC_XFRM_STATICROUTES: hub.networks.join(","),
});

/** The first packet of a tunnel may be lost while it comes up. */
const isAnswered = async (site: Site, host: string, explain: () => string): Promise<void> => {
  const from = site.hosts.find((own) => own.includes(":") === host.includes(":"));
  const pings = site.continuousPing(host, { intervalSeconds: 0.2, ...(from === undefined ? {} : { from }) });
  await pings.waitForAnswer(patience).catch((fault) => assert.fail(`${fault}\n${explain()}`));
  await pings.stop();
};

const linkOf = async (site: Site): Promise<object> => {
  const [link] = JSON.parse(await site.run(["ip", "-json", "-details", "link", "show", "dev", "xfrm42"]));
  const { info_kind: kind, info_data: data } = link.linkinfo;
  return { kind, ...data, mtu: link.mtu };
};

/** What the kernel counts as a collision is an ESP packet whose way leads into the interface that it comes from (xfrmi_xmit2). */
const loops = async (site: Site): Promise<number> => {
  const [link] = JSON.parse(await site.run(["ip", "-json", "-statistics", "link", "show", "dev", "xfrm42"]));
  return link.stats64.tx.collisions;
};
