import assert from "node:assert/strict";
import { test } from "node:test";
import { buildGateway } from "../../../src/gateway/from-settings.ts";
import type { VirtualInterface } from "../../../src/gateway/virtual-interface.ts";
import type { InterfaceState, LinkState, RouteState } from "../../../src/host/inspect-interface.ts";
import { mismatch, planVirtualInterface } from "../../../src/host/plan-virtual-interface.ts";
import { pasteable } from "../../../src/host/step.ts";
import { modulesFor } from "../../../src/host/virtual-link.ts";
import { parseSettings } from "../../../src/settings/parse-settings.ts";
import { environmentOf, minimal } from "../../support/environment-of.ts";

type Changes = Readonly<Record<string, string>>;

const interfaceOf = (changes: Changes = {}): VirtualInterface => {
  const { settings, errors } = parseSettings(
    environmentOf({
      IPSEC_LOCALIP: minimal.IPSEC_LOCALIP,
      IPSEC_REMOTEIP: minimal.IPSEC_REMOTEIP,
      IPSEC_VTI_KEY: "42",
      IPSEC_VTI_IPADDR_LOCAL: "169.254.10.1",
      IPSEC_VTI_IPADDR_PEER: "169.254.10.2",
      IPSEC_VTI_STATICROUTES: "10.2.0.0/16,10.3.0.7/32",
      IPSEC_MTU: "1400",
      ...changes,
    }),
    "init",
  );
  assert.deepEqual(errors, []);
  const [vti] = buildGateway(settings ?? assert.fail()).virtualInterfaces;
  return vti ?? assert.fail();
};

const modules = new Set(["xfrm_user", "esp4", "ip_vti", "esp6", "ip6_vti"]);

const sysctls = (values: Changes): ReadonlyMap<string, string> =>
  new Map(
    Object.entries({ "vti42/disable_policy": "1", ...values }).map(([name, value]) => [
      `net/ipv4/conf/${name}`,
      value,
    ]),
  );

const nothing: InterfaceState = { addresses: [], routes: [], sysctls: new Map(), modules };

const rightLink: LinkState = {
  kind: "vti",
  local: "192.0.2.1",
  remote: "192.0.2.2",
  inputKey: 42,
  outputKey: 42,
  mtu: 1400,
  isUp: true,
};

const route = (destination: string, ...attributes: readonly string[]): RouteState => ({
  destination,
  words: [destination, ...attributes],
});

/** The interface of `interfaceOf()` as iproute2 shows it. */
const right: InterfaceState = {
  link: rightLink,
  addresses: [{ local: "169.254.10.1", peer: "169.254.10.2", prefixLength: 32 }],
  routes: [route("10.2.0.0/16"), route("10.3.0.7")],
  sysctls: sysctls({}),
  modules,
};

const plan = (vti: VirtualInterface, state: InterfaceState): readonly string[] =>
  planVirtualInterface(vti, state).map(({ argv }) => pasteable(argv));

const undone = (vti: VirtualInterface, state: InterfaceState): readonly (string | undefined)[] =>
  planVirtualInterface(vti, state).map(({ undo }) => (undo === undefined ? undefined : pasteable(undo)));

test("where nothing is there, modules, link, settings, MTU, state, address and routes follow in this order", () => {
  const state = { ...nothing, modules: new Set<string>() };
  assert.deepEqual(plan(interfaceOf(), state), [
    "modprobe xfrm_user",
    "modprobe esp4",
    "modprobe ip_vti",
    "ip link add vti42 type vti local 192.0.2.1 remote 192.0.2.2 key 42",
    "sysctl -w net.ipv4.conf.vti42.disable_policy=1",
    "ip link set dev vti42 mtu 1400",
    "ip link set dev vti42 up",
    "ip address add 169.254.10.1 peer 169.254.10.2 dev vti42",
    "ip route add 10.2.0.0/16 dev vti42",
    "ip route add 10.3.0.7/32 dev vti42",
  ]);
  assert.deepEqual(undone(interfaceOf(), state), [
    undefined,
    undefined,
    undefined,
    "ip link delete dev vti42",
    undefined,
    undefined,
    undefined,
    "ip address delete 169.254.10.1 peer 169.254.10.2 dev vti42",
    "ip route delete 10.2.0.0/16 dev vti42",
    "ip route delete 10.3.0.7/32 dev vti42",
  ]);
});

test("only modules may fail: a kernel may have them built in, and the link shows whether they mattered", () => {
  const steps = planVirtualInterface(interfaceOf(), { ...nothing, modules: new Set() });
  assert.deepEqual(
    steps.filter(({ optional }) => optional).map(({ argv }) => argv[0]),
    ["modprobe", "modprobe", "modprobe"],
  );
});

test("modules that are there are not loaded", () => {
  const state = { ...nothing, modules: new Set(["xfrm_user", "ip_vti"]) };
  assert.deepEqual(
    plan(interfaceOf(), state).filter((command) => command.startsWith("modprobe")),
    ["modprobe esp4"],
  );
});

test("an interface that is as it should be needs nothing", () => {
  assert.deepEqual(plan(interfaceOf(), right), []);
  assert.equal(mismatch(interfaceOf(), right), undefined);
});

test("an interface with other ends, another key or of another kind is removed and made anew with all that was on it", () => {
  for (const other of [
    { inputKey: 7 },
    { outputKey: 7 },
    { local: "192.0.2.9" },
    { remote: "192.0.2.9" },
    { remote: "any" },
    { kind: "gre" },
  ]) {
    const state = { ...right, link: { ...rightLink, ...other } };
    const commands = plan(interfaceOf(), state);
    assert.deepEqual(
      commands.map((command) => command.split(" ").slice(0, 3).join(" ")),
      [
        "ip route delete",
        "ip route delete",
        "ip address delete",
        "ip link set",
        "ip link delete",
        "ip link add",
        "sysctl -w net.ipv4.conf.vti42.disable_policy=1",
        "ip link set",
        "ip link set",
        "ip address add",
        "ip route add",
        "ip route add",
      ],
      JSON.stringify(other),
    );
    assert.equal(mismatch(interfaceOf(), state), "vti42 has other ends or another key");
  }
});

test("the undo of a removal makes the interface again with all that was on it", () => {
  const link = { ...rightLink, remote: "192.0.2.9", inputKey: 7, outputKey: 7, mtu: 1480 };
  const state = {
    ...right,
    link,
    addresses: [
      { local: "169.254.10.9", prefixLength: 30 },
      { local: "169.254.10.1", peer: "169.254.10.2", prefixLength: 32 },
      { local: "fe80::5efe:c000:201", prefixLength: 64 },
    ],
    routes: [
      route("10.2.0.0/16", "proto", "static", "src", "10.1.0.1", "metric", "50"),
      // The kernel's own, which comes and goes with the address.
      { destination: "169.254.10.8/30" },
      route("10.3.0.7"),
    ],
    sysctls: sysctls({ "default/disable_policy": "0", "vti42/rp_filter": "2", "default/rp_filter": "2" }),
  };
  const removal = plan(interfaceOf(), state).indexOf("ip link delete dev vti42");
  assert.deepEqual(
    undone(interfaceOf(), state)
      .slice(0, removal + 1)
      .toReversed(),
    [
      "ip link add vti42 mtu 1480 type vti local 192.0.2.1 remote 192.0.2.9 key 7",
      "ip link set dev vti42 up",
      "sysctl -w net.ipv4.conf.vti42.disable_policy=1",
      "ip address add 169.254.10.1 peer 169.254.10.2/32 dev vti42",
      "ip address add 169.254.10.9/30 dev vti42",
      "ip route add 10.3.0.7 dev vti42",
      "ip route add 10.2.0.0/16 proto static src 10.1.0.1 metric 50 dev vti42",
    ],
  );
});

test("an interface that does not exist is told so", () => {
  assert.equal(mismatch(interfaceOf(), nothing), "vti42 does not exist");
});

test("whatever alone differs is changed in place, and back", () => {
  const link = (change: Partial<LinkState>): InterfaceState => ({
    ...right,
    link: { ...rightLink, ...change },
  });
  for (const [state, command, undo] of [
    [link({ mtu: 1480 }), "ip link set dev vti42 mtu 1400", "ip link set dev vti42 mtu 1480"],
    [link({ isUp: false }), "ip link set dev vti42 up", "ip link set dev vti42 down"],
    [
      { ...right, addresses: [] },
      "ip address add 169.254.10.1 peer 169.254.10.2 dev vti42",
      "ip address delete 169.254.10.1 peer 169.254.10.2 dev vti42",
    ],
    [
      { ...right, routes: [route("10.3.0.7")] },
      "ip route add 10.2.0.0/16 dev vti42",
      "ip route delete 10.2.0.0/16 dev vti42",
    ],
    [
      { ...right, sysctls: sysctls({ "vti42/disable_policy": "0" }) },
      "sysctl -w net.ipv4.conf.vti42.disable_policy=1",
      "sysctl -w net.ipv4.conf.vti42.disable_policy=0",
    ],
  ] as const) {
    assert.deepEqual(plan(interfaceOf(), state), [command]);
    assert.deepEqual(undone(interfaceOf(), state), [undo]);
  }
});

test("what others have put on the interface stays", () => {
  const addresses = [...right.addresses, { local: "169.254.99.1", prefixLength: 30 }];
  assert.deepEqual(
    plan(interfaceOf(), { ...right, addresses, routes: [...right.routes, route("10.9.0.0/16")] }),
    [],
  );
});

test("an address without a peer has its length, and all of it when none is given", () => {
  const alone = (address: string) =>
    interfaceOf({ IPSEC_VTI_IPADDR_LOCAL: address, IPSEC_VTI_IPADDR_PEER: "" });
  const bare = { ...right, addresses: [] };
  assert.deepEqual(plan(alone("169.254.10.1"), bare), ["ip address add 169.254.10.1/32 dev vti42"]);
  assert.deepEqual(plan(alone("169.254.10.1/30"), bare), ["ip address add 169.254.10.1/30 dev vti42"]);
  const present = (prefixLength: number) => ({
    ...right,
    addresses: [{ local: "169.254.10.1", prefixLength }],
  });
  assert.deepEqual(plan(alone("169.254.10.1/30"), present(30)), []);
  assert.deepEqual(plan(alone("169.254.10.1/30"), present(31)), [
    "ip address delete 169.254.10.1/31 dev vti42",
    "ip address add 169.254.10.1/30 dev vti42",
  ]);
});

test("without an address, routes or MTU none is set", () => {
  const vti = interfaceOf({
    IPSEC_VTI_IPADDR_LOCAL: "",
    IPSEC_VTI_IPADDR_PEER: "",
    IPSEC_VTI_STATICROUTES: "",
    IPSEC_MTU: "off",
  });
  assert.deepEqual(plan(vti, nothing), [
    "ip link add vti42 type vti local 192.0.2.1 remote 192.0.2.2 key 42",
    "sysctl -w net.ipv4.conf.vti42.disable_policy=1",
    "ip link set dev vti42 up",
  ]);
});

test("a route for everything is two halves, which leave the default route as it is, and those of its family only", () => {
  const vti = interfaceOf({ IPSEC_REMOTEIP: "%any", IPSEC_VTI_STATICROUTES: "0.0.0.0/0,::/0" });
  const link = { ...rightLink, remote: "any" };
  const halves = ["0.0.0.0/1", "128.0.0.0/1", "::/1", "8000::/1"];
  const commands = halves.map((half) => `ip route add ${half} dev vti42`);
  assert.deepEqual(plan(vti, { ...right, link, routes: [] }), commands);
  assert.deepEqual(plan(vti, { ...right, link, routes: [route("0.0.0.0/0"), route("::/0")] }), commands);
  assert.deepEqual(plan(vti, { ...right, link, routes: halves.map((half) => route(half)) }), []);
  assert.deepEqual(
    plan(vti, { ...right, link, routes: [route("::/1"), route("8000::/1")] }),
    commands.slice(0, 2),
  );
});

test("between IPv6 ends it is a vti6 with the modules of IPv6", () => {
  const vti = interfaceOf({ IPSEC_LOCALIP: "2001:db8::1", IPSEC_REMOTEIP: "2001:db8::2" });
  assert.deepEqual(modulesFor(vti), ["xfrm_user", "esp6", "ip6_vti"]);
  assert.equal(
    plan(vti, nothing)[0],
    "ip link add vti42 type vti6 local 2001:db8::1 remote 2001:db8::2 key 42",
  );
  const link = { ...rightLink, kind: "vti6", local: "2001:db8::1", remote: "2001:db8::2" };
  assert.deepEqual(plan(vti, { ...right, link }), []);
  assert.ok(plan(vti, { ...right, link: { ...link, kind: "vti" } }).includes("ip link delete dev vti42"));
});

test("an open end is any in IPv4 and :: in IPv6, and matches what iproute2 prints of it", () => {
  const local = interfaceOf({ IPSEC_LOCALIP: "%any" });
  assert.equal(plan(local, nothing)[0], "ip link add vti42 type vti local any remote 192.0.2.2 key 42");
  const remote = interfaceOf({ IPSEC_LOCALIP: "2001:db8::1", IPSEC_REMOTEIP: "%any" });
  assert.equal(plan(remote, nothing)[0], "ip link add vti42 type vti6 local 2001:db8::1 remote :: key 42");
  for (const printed of ["any", "0.0.0.0", ""])
    assert.deepEqual(plan(local, { ...right, link: { ...rightLink, local: printed } }), [], printed);
  assert.ok(plan(local, right).includes("ip link delete dev vti42"), "an end that is fixed is not open");
});

test("rp_filter is loosened where the larger of its own and that of all is strict, and only there", () => {
  const loosen = "sysctl -w net.ipv4.conf.vti42.rp_filter=2";
  for (const [own, all, commands] of [
    ["0", "0", []],
    ["1", "0", [loosen]],
    ["0", "1", [loosen]],
    ["1", "1", [loosen]],
    ["2", "1", []],
    ["1", "2", []],
    ["0", "2", []],
  ] as const) {
    const state = { ...right, sysctls: sysctls({ "vti42/rp_filter": own, "all/rp_filter": all }) };
    assert.deepEqual(plan(interfaceOf(), state), commands, `${own} ${all}`);
  }
});

test("an interface that is still to be made begins with the defaults", () => {
  const settings = (values: Changes) =>
    plan(interfaceOf(), {
      ...nothing,
      sysctls: new Map(Object.entries(values).map(([name, value]) => [`net/ipv4/conf/${name}`, value])),
    }).filter((command) => command.startsWith("sysctl"));
  const policy = "sysctl -w net.ipv4.conf.vti42.disable_policy=1";
  assert.deepEqual(settings({ "default/disable_policy": "1", "default/rp_filter": "0" }), []);
  assert.deepEqual(settings({ "default/disable_policy": "0", "default/rp_filter": "1" }), [
    policy,
    "sysctl -w net.ipv4.conf.vti42.rp_filter=2",
  ]);
  assert.deepEqual(settings({ "default/disable_policy": "1", "vti42/disable_policy": "0" }), []);
});
