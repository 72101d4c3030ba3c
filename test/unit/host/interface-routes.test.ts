import assert from "node:assert/strict";
import { test } from "node:test";
import type { VirtualInterface } from "../../../src/gateway/virtual-interface.ts";
import type { Route } from "../../../src/host/inspect.ts";
import { planPeerRoutes, takesPeers } from "../../../src/host/interface-routes.ts";
import { pasteable } from "../../../src/host/step.ts";
import { parseRemoteEndpoint } from "../../../src/ipsec/address.ts";
import { parseNetwork } from "../../../src/ipsec/network.ts";

const interfaceTo = (peers: readonly string[], routes: readonly string[]): VirtualInterface => ({
  ...{ kind: "xfrm", name: "xfrm42", interfaceId: 42, addresses: [], mtu: undefined },
  peers: peers.map((text) => {
    const parsed = parseRemoteEndpoint(text);
    return parsed.ok ? parsed.value : assert.fail(text);
  }),
  routes: routes.map((text) => {
    const parsed = parseNetwork(text);
    return parsed.ok ? parsed.value.network : assert.fail(text);
  }),
});

const route = (destination: string, more: Partial<Route> = {}): Route => ({
  ...{ family: destination.includes(":") ? "ipv6" : "ipv4", destination, device: "eth0" },
  ...more,
});
const wayOut = route("default", { gateway: "192.0.2.254" });
const everything = interfaceTo(["198.51.100.7"], ["0.0.0.0/0"]);

const plan = (wanted: VirtualInterface, ...routes: readonly Route[]): readonly string[] =>
  planPeerRoutes(wanted, routes).map(({ argv }) => pasteable(argv));

test("a peer that a route over the interface would take gets a route by the default gateway", () => {
  const around = "ip route add 198.51.100.7 via 192.0.2.254 dev eth0 proto 50";
  for (const taking of ["0.0.0.0/0", "128.0.0.0/1", "198.51.0.0/16", "198.51.100.7/32"]) {
    const wanted = interfaceTo(["198.51.100.7"], ["10.0.0.0/8", taking]);
    assert.ok(takesPeers(wanted, []), taking);
    assert.deepEqual(plan(wanted, wayOut), [around], taking);
  }
  assert.deepEqual(
    planPeerRoutes(everything, [wayOut]).map(({ undo }) => pasteable(undo ?? assert.fail())),
    ["ip route delete 198.51.100.7 proto 50"],
  );
});

test("a peer that none takes, of another family, or whose address is not known, gets none", () => {
  for (const [peer, taking] of [
    ["198.51.100.7", "10.0.0.0/8"],
    ["198.51.100.7", "::/0"],
    ["2001:db8::7", "0.0.0.0/0"],
    ["sun.example.com", "0.0.0.0/0"],
    ["%any", "0.0.0.0/0"],
  ] as const) {
    const wanted = interfaceTo([peer], [taking]);
    assert.equal(takesPeers(wanted, []), false, `${peer} ${taking}`);
    assert.deepEqual(plan(wanted, wayOut, route("default", { family: "ipv6", gateway: "fe80::1" })), []);
  }
});

test("a route over the interface that is there for another tunnel takes a peer, too", () => {
  const wanted = interfaceTo(["198.51.100.7"], ["10.3.0.0/16"]);
  const other = route("128.0.0.0/1", { device: "xfrm42" });
  assert.equal(takesPeers(wanted, ["10.2.0.0/16"]), false);
  assert.ok(takesPeers(wanted, ["10.2.0.0/16", other.destination]));
  assert.deepEqual(plan(wanted, wayOut), []);
  assert.deepEqual(plan(wanted, wayOut, other), [
    "ip route add 198.51.100.7 via 192.0.2.254 dev eth0 proto 50",
  ]);
});

test("a peer that a narrower route already leads elsewhere needs none", () => {
  assert.deepEqual(plan(everything, wayOut, route("198.51.100.0/24")), []);
  assert.deepEqual(plan(everything, wayOut, route("198.51.100.7", { gateway: "192.0.2.1" })), []);
  const narrow = interfaceTo(["198.51.100.7"], ["198.51.100.0/25"]);
  assert.deepEqual(plan(narrow, wayOut, route("198.51.100.0/24", { gateway: "192.0.2.3" })), [
    "ip route add 198.51.100.7 via 192.0.2.3 dev eth0 proto 50",
  ]);
});

test("the way is the one that the kernel would take without the interface, as it is", () => {
  assert.deepEqual(
    plan(
      everything,
      route("0.0.0.0/1", { device: "xfrm42" }),
      route("128.0.0.0/1", { device: "xfrm42" }),
      route("default", { gateway: "192.0.2.9", metric: 200 }),
      route("default", { gateway: "192.0.2.8", metric: 100, source: "192.0.2.1", isOnLink: true }),
    ),
    ["ip route add 198.51.100.7 via 192.0.2.8 dev eth0 onlink src 192.0.2.1 proto 50"],
  );
});

test("the route that is there is left, and follows when the way has changed", () => {
  const ours = route("198.51.100.7", { gateway: "192.0.2.254", protocol: "50" });
  assert.deepEqual(plan(everything, wayOut, ours), []);
  const [step] = planPeerRoutes(everything, [route("default", { gateway: "192.0.2.9" }), ours]);
  assert.equal(
    pasteable(step?.argv ?? assert.fail()),
    "ip route replace 198.51.100.7 via 192.0.2.9 dev eth0 proto 50",
  );
  assert.equal(
    pasteable(step?.undo ?? assert.fail()),
    "ip route replace 198.51.100.7 via 192.0.2.254 dev eth0 proto 50",
  );
  assert.deepEqual(plan(everything, ours), [], "without any other way there is none to follow");
});

test("another virtual interface is no way around, since what it takes is in a tunnel", () => {
  const wanted = interfaceTo(["198.51.100.7"], ["198.51.100.0/24"]);
  for (const device of ["xfrm7", "vti7"])
    assert.deepEqual(plan(wanted, wayOut, route("128.0.0.0/1", { device })), [
      "ip route add 198.51.100.7 via 192.0.2.254 dev eth0 proto 50",
    ]);
});

test("the way around takes packets as large as the way that it follows", () => {
  const narrow = { ...wayOut, mtu: 1400 };
  const around = "198.51.100.7 via 192.0.2.254 dev eth0 proto 50";
  assert.deepEqual(plan(everything, narrow), [`ip route add ${around} mtu 1400`]);
  const ours = route("198.51.100.7", { gateway: "192.0.2.254", protocol: "50" });
  assert.deepEqual(plan(everything, narrow, { ...ours, mtu: 1400 }), []);
  assert.deepEqual(plan(everything, narrow, ours), [`ip route replace ${around} mtu 1400`]);
});

test("every peer of the interface has its own, in its family", () => {
  const wanted = interfaceTo(["198.51.100.7", "2001:db8:7::7"], ["0.0.0.0/0", "::/0"]);
  assert.deepEqual(plan(wanted, wayOut, route("default", { family: "ipv6", gateway: "fe80::1" })), [
    "ip route add 198.51.100.7 via 192.0.2.254 dev eth0 proto 50",
    "ip route add 2001:db8:7::7 via fe80::1 dev eth0 proto 50",
  ]);
});
