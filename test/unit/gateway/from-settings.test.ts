import assert from "node:assert/strict";
import { test } from "node:test";
import { onDataplane } from "../../../src/gateway/dataplane.ts";
import { buildGateway } from "../../../src/gateway/from-settings.ts";
import type { Connection, Gateway } from "../../../src/gateway/gateway.ts";
import { interfaceNames } from "../../../src/gateway/virtual-interface.ts";
import { endpointText } from "../../../src/ipsec/address.ts";
import { parseSettings } from "../../../src/settings/parse-settings.ts";
import type { Settings, Values } from "../../../src/settings/settings.ts";
import { environmentOf, minimal } from "../../support/environment-of.ts";

const settingsOf = (changes: Readonly<Record<string, string>>): Settings => {
  const { settings, errors } = parseSettings(environmentOf({ ...minimal, ...changes }), "gateway");
  assert.deepEqual(errors, []);
  return settings ?? assert.fail();
};

const gatewayOf = (changes: Readonly<Record<string, string>>): Gateway => buildGateway(settingsOf(changes));

const connectionOf = (changes: Readonly<Record<string, string>>): Connection =>
  gatewayOf(changes).connections[0] ?? assert.fail();

const networks = (changes: Readonly<Record<string, string>>) =>
  connectionOf(changes).children.map((child) => [
    child.name,
    child.localNetworks.map(({ text }) => text).join(),
    child.remoteNetworks.map(({ text }) => text).join(),
  ]);

test("IKEv2 protects all networks in one CHILD SA", () => {
  const several = { IPSEC_LOCALNET: "10.1.0.0/24,10.1.1.0/24", IPSEC_REMOTENET: "10.2.0.0/24,10.2.1.0/24" };
  for (const exchange of ["ikev2", "ike"]) {
    assert.deepEqual(networks({ ...several, IPSEC_KEYEXCHANGE: exchange }), [
      ["site", "10.1.0.0/24,10.1.1.0/24", "10.2.0.0/24,10.2.1.0/24"],
    ]);
  }
});

test("IKEv1 has a CHILD SA for each pair of networks of one family", () => {
  const ikev1 = { IPSEC_KEYEXCHANGE: "ikev1" };
  assert.deepEqual(networks(ikev1), [["site", "10.1.0.0/16", "10.2.0.0/16"]]);
  assert.deepEqual(
    networks({
      ...ikev1,
      IPSEC_LOCALNET: "10.1.0.0/24,2001:db8:1::/48",
      IPSEC_REMOTENET: "10.2.0.0/24,10.2.1.0/24,2001:db8:2::/48",
    }),
    [
      ["site_1", "10.1.0.0/24", "10.2.0.0/24"],
      ["site_2", "10.1.0.0/24", "10.2.1.0/24"],
      ["site_3", "2001:db8:1::/48", "2001:db8:2::/48"],
    ],
  );
});

test("a network that is listed twice counts once", () => {
  const twice = {
    IPSEC_LOCALNET: "10.1.0.0/24,10.1.0.9/24",
    IPSEC_REMOTENET: "2001:DB8::/48,2001:db8::/48,10.2.0.0/16",
  };
  assert.deepEqual(networks(twice), [["site", "10.1.0.0/24", "2001:db8::/48,10.2.0.0/16"]]);
  assert.equal(networks({ ...twice, IPSEC_KEYEXCHANGE: "ikev1" }).length, 1);
  assert.equal(gatewayOf({ ...twice, SET_ROUTE_DEFAULT_TABLE: "yes" }).hostRoutes.length, 2);
});

test("what starts a tunnel is traffic, the gateway, both or nothing", () => {
  const starts = (
    changes: Readonly<Record<string, string>>,
    dataplane: "kernel" | "userspace" = "kernel",
  ) => {
    const child = onDataplane(gatewayOf(changes), dataplane).connections[0]?.children[0];
    return [child?.onTraffic, child?.atOnce];
  };
  assert.deepEqual(starts({}), [true, false]);
  assert.deepEqual(starts({ IPSEC_START: "start" }), [false, true]);
  assert.deepEqual(starts({ IPSEC_START: "route,start" }), [true, true]);
  assert.deepEqual(starts({ IPSEC_START: "add" }), [false, false]);
  assert.deepEqual(starts({ IPSEC_REMOTEIP: "%any", IPSEC_REMOTEID: "sun" }), [false, false]);
  assert.deepEqual(starts({}, "userspace"), [false, true]);
  assert.deepEqual(starts({ IPSEC_START: "add" }, "userspace"), [false, false]);
});

test("keys are renewed in good time, however short they live", () => {
  for (const [lifetime, margin] of [
    ["2m", 18],
    ["10m", 90],
    ["1h", 540],
    ["24h", 540],
  ] as const) {
    const { rekeyMarginSeconds, children } = connectionOf({
      IPSEC_LIFETIME: lifetime,
      IPSEC_IKELIFETIME: "24h",
    });
    assert.equal(rekeyMarginSeconds, margin, lifetime);
    // strongSwan draws from once to twice the margin.
    assert.ok(2 * rekeyMarginSeconds < (children[0]?.lifetimeSeconds ?? 0) / 2);
  }
});

test("a VTI marks packets with its key, fixes the ends, and has its addresses and routes", () => {
  const gateway = gatewayOf({
    IPSEC_VTI_KEY: "0x2a",
    IPSEC_VTI_IPADDR_LOCAL: "169.254.10.1/30",
    IPSEC_VTI_IPADDR_PEER: "169.254.10.2",
    IPSEC_VTI_STATICROUTES: "10.2.0.0/16,10.2.0.0/16",
  });
  const [vti] = gateway.virtualInterfaces;
  assert.ok(vti?.kind === "vti");
  assert.equal(vti.name, "vti42");
  assert.equal(vti.key, 42);
  assert.deepEqual(
    vti.addresses.map(({ local, peer }) => [local.prefixLength, peer?.text]),
    [[30, "169.254.10.2"]],
  );
  assert.deepEqual(
    vti.routes.map(({ text }) => text),
    ["10.2.0.0/16"],
  );
  assert.equal(gateway.connections[0]?.mobile, false);
  assert.equal(gateway.connections[0]?.children[0]?.mark, 42);
});

test("an XFRM interface has its identifier on the CHILD SAs, fixes no end, and pairs its addresses by family", () => {
  const gateway = gatewayOf({
    IPSEC_BACKEND: "swanctl",
    IPSEC_XFRM_IF_ID: "42",
    IPSEC_XFRM_IPADDR_LOCAL: "fd00:42::1/64,169.254.10.1",
    IPSEC_XFRM_IPADDR_PEER: "169.254.10.2",
    IPSEC_XFRM_STATICROUTES: "10.2.0.0/16,2001:db8:2::/48,10.2.0.0/16",
  });
  const [one] = gateway.virtualInterfaces;
  assert.ok(one?.kind === "xfrm");
  assert.deepEqual([one.name, one.interfaceId, one.mtu], ["xfrm42", 42, 1422]);
  assert.deepEqual(
    one.addresses.map(({ local, peer }) => [local.address.text, local.prefixLength, peer?.text]),
    [
      ["fd00:42::1", 64, undefined],
      ["169.254.10.1", undefined, "169.254.10.2"],
    ],
  );
  assert.deepEqual(
    one.routes.map(({ text }) => text),
    ["10.2.0.0/16", "2001:db8:2::/48"],
  );
  const [connection] = gateway.connections;
  assert.equal(connection?.mobile, true);
  assert.equal(connection?.children[0]?.interfaceId, 42);
  assert.equal(connection?.children[0]?.mark, undefined);
  const interfaceName = interfaceNames(gateway.virtualInterfaces);
  assert.equal(interfaceName(connection?.children[0]), "xfrm42");
  assert.equal(interfaceName({ mark: 42 }), undefined);
  assert.equal(interfaceName({}), undefined);
});

test("tunnels on one XFRM interface make it one, with the addresses, routes and peers of all and the smallest MTU", () => {
  const tunnel = (changes: Readonly<Record<string, string>>): Values =>
    settingsOf({ IPSEC_BACKEND: "swanctl", IPSEC_XFRM_IF_ID: "42", ...changes }).tunnels[0] ?? assert.fail();
  const tunnels = [
    tunnel({ IPSEC_XFRM_STATICROUTES: "10.2.0.0/16", IPSEC_XFRM_IPADDR_LOCAL: "169.254.10.1" }),
    tunnel({ IPSEC_REMOTEIP: "192.0.2.3", IPSEC_XFRM_STATICROUTES: "10.2.0.0/16,10.3.0.0/16" }),
    tunnel({
      IPSEC_REMOTEIP: "192.0.2.4",
      IPSEC_XFRM_IPADDR_LOCAL: "169.254.10.1,fd00:42::1",
      IPSEC_ESPCIPHER: "aes256gcm16-ecp384",
    }),
    tunnel({ IPSEC_XFRM_IF_ID: "43" }),
    tunnel({ IPSEC_XFRM_IF_ID: "", IPSEC_VTI_KEY: "42" }),
  ];
  const { virtualInterfaces } = buildGateway({ ...settingsOf({}), tunnels });
  assert.deepEqual(
    virtualInterfaces.map(({ name }) => name),
    ["xfrm42", "xfrm43", "vti42"],
  );
  const [shared] = virtualInterfaces;
  assert.deepEqual(
    shared?.routes.map(({ text }) => text),
    ["10.2.0.0/16", "10.3.0.0/16"],
  );
  assert.deepEqual(
    shared?.addresses.map(({ local }) => local.address.text),
    ["169.254.10.1", "fd00:42::1"],
  );
  assert.deepEqual(shared?.peers.map(endpointText), ["192.0.2.2", "192.0.2.3", "192.0.2.4"]);
  assert.equal(shared?.mtu, 1422);
});

test("in manual configuration there is no connection, but what belongs to the host stays", () => {
  const manual = { IPSEC_USE_MANUAL_CONFIG: "yes" };
  const withRoutes = gatewayOf({ ...manual, SET_ROUTE_DEFAULT_TABLE: "yes" });
  assert.deepEqual(withRoutes.connections, []);
  assert.equal(withRoutes.hostRoutes.length, 1);
  assert.equal(gatewayOf({ ...manual, IPSEC_VTI_KEY: "7" }).virtualInterfaces.length, 1);
});

test("no route leads past a virtual interface", () => {
  const routes = { SET_ROUTE_DEFAULT_TABLE: "yes" };
  assert.equal(gatewayOf(routes).hostRoutes.length, 1);
  for (const virtual of [
    { IPSEC_VTI_KEY: "7" },
    { IPSEC_XFRM_IF_ID: "7", IPSEC_BACKEND: "swanctl" },
  ] as const)
    assert.deepEqual(gatewayOf({ ...routes, ...virtual }).hostRoutes, []);
});

test("an interface knows the peers of other tunnels that its routes would take", () => {
  const tunnel = (changes: Readonly<Record<string, string>>): Values =>
    settingsOf({ IPSEC_BACKEND: "swanctl", ...changes }).tunnels[0] ?? assert.fail();
  const everything = { IPSEC_XFRM_IF_ID: "42", IPSEC_XFRM_STATICROUTES: "0.0.0.0/0" };
  const narrow = { IPSEC_XFRM_IF_ID: "43", IPSEC_XFRM_STATICROUTES: "10.3.0.0/16" };
  const tunnels = [
    tunnel(everything),
    tunnel({ ...narrow, IPSEC_REMOTEIP: "203.0.113.2" }),
    tunnel({ IPSEC_REMOTEIP: "203.0.113.3" }),
    tunnel({ IPSEC_LOCALIP: "2001:db8::1", IPSEC_REMOTEIP: "2001:db8::7" }),
  ];
  const { virtualInterfaces } = buildGateway({ ...settingsOf({}), tunnels });
  assert.deepEqual(
    virtualInterfaces.map(({ name, peers }) => [name, ...peers.map(endpointText)]),
    [
      ["xfrm42", "192.0.2.2", "203.0.113.2", "203.0.113.3"],
      ["xfrm43", "203.0.113.2"],
    ],
  );
});

test("who calls from anywhere cannot be called again when it is dead", () => {
  const any = { IPSEC_REMOTEIP: "%any", IPSEC_REMOTEID: "sun" };
  assert.equal(connectionOf(any).deadPeer.action, "clear");
  assert.equal(connectionOf({ ...any, IPSEC_DPD_ACTION: "none" }).deadPeer.action, "none");
  assert.equal(connectionOf({}).deadPeer.action, "restart");
});

test("a tunnel that only the peer starts is not restarted from here when the peer is dead", () => {
  const add = { IPSEC_START: "add" };
  assert.equal(connectionOf(add).deadPeer.action, "clear");
  for (const action of ["trap", "clear", "none"] as const)
    assert.equal(connectionOf({ ...add, IPSEC_DPD_ACTION: action }).deadPeer.action, action);
  for (const start of ["route", "start", "route,start"])
    assert.equal(connectionOf({ IPSEC_START: start }).deadPeer.action, "restart");
});

test("the MTU of a VTI is what fits 1500 bytes with its proposals and ends, or what is set, or the kernel's", () => {
  const mtu = (changes: Readonly<Record<string, string>>) =>
    gatewayOf({ IPSEC_VTI_KEY: "42", ...changes }).virtualInterfaces[0]?.mtu;
  const aead = { IPSEC_ESPCIPHER: "aes256gcm16-ecp384" };
  assert.equal(mtu({}), 1422);
  assert.equal(mtu(aead), 1438);
  assert.equal(mtu({ ...aead, IPSEC_FORCEUDP: "no" }), 1446);
  const ends = { IPSEC_LOCALIP: "2001:db8::1", IPSEC_REMOTEIP: "2001:db8::2" };
  assert.equal(mtu({ ...aead, ...ends }), 1418);
  assert.equal(mtu({ ...aead, ...ends, IPSEC_LOCALIP: "%any", IPSEC_LOCALID: "moon" }), 1418);
  assert.equal(mtu({ IPSEC_MTU: "1400" }), 1400);
  assert.equal(mtu({ IPSEC_MTU: "off" }), undefined);
});

test("the MTU of a virtual interface and TCP's segments follow a narrower path, but IPv6 inside has its least size", () => {
  const narrow = (bytes: number, changes: Readonly<Record<string, string>>) => {
    const { virtualInterfaces, packetRules } = buildGateway(settingsOf(changes), () => bytes);
    return { mtu: virtualInterfaces[0]?.mtu, segment: packetRules[0]?.segments?.kernel.ipv4 };
  };
  const vti = { IPSEC_VTI_KEY: "42", IPSEC_ESPCIPHER: "aes256gcm16-ecp384" };
  assert.deepEqual(narrow(1450, vti), { mtu: 1386, segment: 1346 });
  assert.deepEqual(narrow(1450, { ...vti, IPSEC_VTI_KEY: "" }), { mtu: undefined, segment: 1346 });
  assert.deepEqual(narrow(1450, { ...vti, IPSEC_MTU: "1400" }), { mtu: 1400, segment: 1360 });
  assert.deepEqual(narrow(1300, vti), { mtu: 1238, segment: 1198 });
  const ipv6 = { IPSEC_VTI_STATICROUTES: "2001:db8:2::/64" };
  assert.deepEqual(narrow(1300, { ...vti, ...ipv6 }), { mtu: 1280, segment: 1240 });
});
