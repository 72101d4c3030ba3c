import assert from "node:assert/strict";
import { test } from "node:test";
import { readPathMtu } from "../../../src/host/read-path-mtu.ts";
import { parseRemoteEndpoint } from "../../../src/ipsec/address.ts";
import { parseSettings } from "../../../src/settings/parse-settings.ts";
import { environmentOf, minimal } from "../../support/environment-of.ts";

type Changes = Readonly<Record<string, string>>;

const tunnelOf = (changes: Changes) => {
  const { settings, errors } = parseSettings(environmentOf({ ...minimal, ...changes }), "gateway");
  assert.deepEqual(errors, []);
  return settings?.tunnels[0] ?? assert.fail();
};

/** As iproute2 6.1 prints them, one question a line; what failed has no line. */
const links =
  '[{"ifindex":1,"ifname":"lo","flags":["LOOPBACK","UP"],"mtu":65536},{"ifindex":2,"ifname":"eth0","flags":["UP"],"mtu":1450},{"ifindex":3,"ifname":"eth1","flags":["UP"],"mtu":9001},{"ifindex":4,"ifname":"vti42","flags":["UP"],"mtu":1372}]';
const defaultRoute = '[{"dst":"default","gateway":"192.0.2.254","dev":"eth0","flags":[]}]';

/** The MTU of the way to the peer of each tunnel, and what was asked. */
const read = async (tunnels: readonly Changes[], answers: readonly string[]) => {
  const asked: string[] = [];
  const pathMtu = await readPathMtu(tunnels.map(tunnelOf), async (argv, input = "") => {
    asked.push(argv.join(" "), ...input.trim().split("\n"));
    return { exitCode: 1, stdout: answers.join("\n"), stderr: "Command failed -:9" };
  });
  const mtus = tunnels.map(({ IPSEC_REMOTEIP: text = "" }) => {
    const peer = parseRemoteEndpoint(text);
    return pathMtu(peer.ok ? peer.value : assert.fail());
  });
  return { asked, mtus };
};

const peers = ["198.51.100.7", "198.51.100.8", "2001:db8::7"].map((IPSEC_REMOTEIP) => ({
  IPSEC_LOCALIP: IPSEC_REMOTEIP.includes(":") ? "2001:db8::1" : "192.0.2.1",
  IPSEC_REMOTEIP,
}));

test("the way to a peer takes what its route says, or its interface, and no more than Ethernet", async () => {
  const { asked, mtus } = await read(peers, [
    links,
    defaultRoute,
    '[{"dst":"198.51.100.7","from":"192.0.2.1","gateway":"192.0.2.254","dev":"eth0","flags":[],"cache":[]}]',
    '[{"dst":"198.51.100.8","from":"192.0.2.1","gateway":"192.0.2.253","dev":"eth1","flags":[],"cache":[]}]',
    '[{"dst":"2001:db8::7","from":"2001:db8::1","dev":"eth1","metrics":[{"mtu":1390}],"pref":"medium"}]',
  ]);
  assert.deepEqual(mtus, [1450, 1500, 1390]);
  assert.deepEqual(asked, [
    "ip -json -force -batch -",
    "link show",
    "route show default",
    "route get 198.51.100.7 from 192.0.2.1",
    "route get 198.51.100.8 from 192.0.2.1",
    "route get 2001:db8::7 from 2001:db8::1",
  ]);
});

test("a peer of unknown address or without a way counts as behind the default route", async () => {
  const changes = [{ IPSEC_REMOTEIP: "sun.example.com" }, peers[0] ?? assert.fail()];
  assert.deepEqual((await read(changes, [links, defaultRoute])).mtus, [1450, 1450]);
  assert.deepEqual((await read(changes, [links, "[]"])).mtus, [1500, 1500]);
});

test("neither an interface of ours counts nor what a router has told, and without an answer it is Ethernet's", async () => {
  const [tunnel = {}] = peers;
  const withVti = { ...tunnel, IPSEC_VTI_KEY: "42" };
  const over = (words: string) => `[{"dst":"198.51.100.7","from":"192.0.2.1",${words}}]`;
  assert.deepEqual((await read([withVti], [links, over('"dev":"vti42"')])).mtus, [1500]);
  const learned = over('"dev":"eth1","cache":[],"expires":598,"metrics":[{"mtu":1300}]');
  assert.deepEqual((await read([withVti], [links, learned])).mtus, [1500]);
  assert.deepEqual((await read([withVti], [])).mtus, [1500]);
});

test("where no size depends on it nobody is asked", async () => {
  const off = { IPSEC_MSS: "off", IPSEC_REMOTEIP: "192.0.2.2" };
  assert.deepEqual((await read([off], [])).asked, []);
  assert.notDeepEqual((await read([{ ...off, IPSEC_VTI_KEY: "42" }], [])).asked, []);
  assert.deepEqual((await read([{ ...off, IPSEC_VTI_KEY: "42", IPSEC_MTU: "1400" }], [])).asked, []);
});
