import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { command } from "../guest/command.ts";

/** Fixed keys and no daemon: what the guest's kernel does with a VTI. */
const moon = { name: "moon", address: "192.0.2.1", inner: "10.1.0.1", spi: "0x101" };
const sun = { name: "sun", address: "192.0.2.2", inner: "10.2.0.1", spi: "0x202" };
type Site = typeof moon;

const mark = "42";

before(async () => {
  for (const { name } of [moon, sun]) await command("ip", "netns", "add", name);
  const cable = ["netns", "moon", "type", "veth", "peer", "name", "eth0", "netns", "sun"];
  await command("ip", "link", "add", "eth0", ...cable);
  for (const site of [moon, sun]) {
    await ip(site, `address add ${site.address}/24 dev eth0`);
    await ip(site, `address add ${site.inner}/24 dev lo`);
    for (const device of ["lo", "eth0"]) await ip(site, `link set ${device} up`);
  }
});

after(async () => {
  for (const { name } of [moon, sun]) await command("ip", "netns", "delete", name);
});

test("a VTI with static routes carries a ping between two namespaces", async () => {
  for (const [site, peer] of [
    [moon, sun],
    [sun, moon],
  ] as const) {
    await addSecurityAssociations(site, peer);
    await ip(site, `tunnel add vti42 local ${site.address} remote ${peer.address} mode vti key ${mark}`);
    await command("ip", "netns", "exec", site.name, "sysctl", "-qw", "net.ipv4.conf.vti42.disable_policy=1");
    await ip(site, "link set vti42 up");
    await ip(site, `route add ${peer.inner}/32 dev vti42 src ${site.inner}`);
  }
  assert.match(await ping(moon, sun), /3 received, 0% packet loss/);
  assert.match(await ping(sun, moon), /3 received, 0% packet loss/);
  const [vti] = JSON.parse(await ip(moon, "-json -statistics link show vti42")) as [LinkStatistics];
  assert.equal(vti.stats64.tx.packets, 6);
  assert.equal(vti.stats64.rx.packets, 6);
});

test("without the VTI nothing crosses", async () => {
  await ip(moon, "link set vti42 down");
  await assert.rejects(ping(moon, sun), /100% packet loss/);
});

type LinkStatistics = { stats64: { rx: { packets: number }; tx: { packets: number } } };

const addSecurityAssociations = async (site: Site, peer: Site): Promise<void> => {
  for (const [from, to] of [
    [site, peer],
    [peer, site],
  ] as const) {
    const ends = `src ${from.address} dst ${to.address}`;
    const key = "0x000102030405060708090a0b0c0d0e0f10111213";
    await ip(
      site,
      `xfrm state add ${ends} proto esp spi ${from.spi} mode tunnel mark ${mark} aead rfc4106(gcm(aes)) ${key} 128`,
    );
    const direction = from === site ? "out" : "in";
    await ip(
      site,
      `xfrm policy add src 0.0.0.0/0 dst 0.0.0.0/0 dir ${direction} mark ${mark} tmpl ${ends} proto esp mode tunnel`,
    );
  }
};

const ip = (site: Site, words: string): Promise<string> =>
  command("ip", "-netns", site.name, ...words.split(" "));

const ping = (from: Site, to: Site): Promise<string> =>
  command("ip", "netns", "exec", from.name, ..."ping -c 3 -i 0.2 -W 5 -I".split(" "), from.inner, to.inner);
