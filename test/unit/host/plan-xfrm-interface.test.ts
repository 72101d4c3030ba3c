import assert from "node:assert/strict";
import { test } from "node:test";
import { buildGateway } from "../../../src/gateway/from-settings.ts";
import type { VirtualInterface } from "../../../src/gateway/virtual-interface.ts";
import type { InterfaceState, LinkState } from "../../../src/host/inspect-interface.ts";
import { inspectInterface } from "../../../src/host/inspect-interface.ts";
import { mismatch, planVirtualInterface } from "../../../src/host/plan-virtual-interface.ts";
import { pasteable } from "../../../src/host/step.ts";
import { modulesFor } from "../../../src/host/virtual-link.ts";
import { parseSettings } from "../../../src/settings/parse-settings.ts";
import { environmentOf, minimal } from "../../support/environment-of.ts";

const interfaceOf = (changes: Readonly<Record<string, string>> = {}): VirtualInterface => {
  const { settings, errors } = parseSettings(
    environmentOf({
      IPSEC_LOCALIP: minimal.IPSEC_LOCALIP,
      IPSEC_REMOTEIP: minimal.IPSEC_REMOTEIP,
      IPSEC_XFRM_IF_ID: "0x2a",
      IPSEC_XFRM_IPADDR_LOCAL: "169.254.10.1,fd00:42::1/64",
      IPSEC_XFRM_IPADDR_PEER: "169.254.10.2",
      IPSEC_XFRM_STATICROUTES: "10.2.0.0/16,2001:db8:2::/48",
      ...changes,
    }),
    "init",
  );
  assert.deepEqual(errors, []);
  const [wanted] = buildGateway(settings ?? assert.fail()).virtualInterfaces;
  return wanted ?? assert.fail();
};

const modules = new Set(["xfrm_user", "esp4", "xfrm_interface"]);
const nothing: InterfaceState = { addresses: [], routes: [], sysctls: new Map(), modules };
const link: LinkState = {
  ...{ kind: "xfrm", interfaceId: 42, mtu: 1422, isUp: true },
  ...{ local: "", remote: "", inputKey: 0, outputKey: 0 },
};
const right: InterfaceState = {
  ...nothing,
  link,
  addresses: [
    { local: "169.254.10.1", peer: "169.254.10.2", prefixLength: 32 },
    { local: "fd00:42::1", prefixLength: 64 },
  ],
  routes: ["10.2.0.0/16", "2001:db8:2::/48"].map((destination) => ({ destination, words: [destination] })),
};

const plan = (wanted: VirtualInterface, state: InterfaceState): readonly string[] =>
  planVirtualInterface(wanted, state).map(({ argv }) => pasteable(argv));

test("where nothing is there, an interface of both families is made, which belongs to no device", () => {
  const steps = planVirtualInterface(interfaceOf(), { ...nothing, modules: new Set() });
  assert.deepEqual(
    steps.map(({ argv, undo }) => [pasteable(argv), ...(undo === undefined ? [] : [pasteable(undo)])]),
    [
      ["modprobe xfrm_user"],
      ["modprobe esp4"],
      ["modprobe xfrm_interface"],
      ["ip link add xfrm42 type xfrm if_id 42", "ip link delete dev xfrm42"],
      ["ip link set dev xfrm42 mtu 1422"],
      ["ip link set dev xfrm42 up"],
      [
        "ip address add 169.254.10.1 peer 169.254.10.2 dev xfrm42",
        "ip address delete 169.254.10.1 peer 169.254.10.2 dev xfrm42",
      ],
      ["ip address add fd00:42::1/64 dev xfrm42", "ip address delete fd00:42::1/64 dev xfrm42"],
      ["ip route add 10.2.0.0/16 dev xfrm42", "ip route delete 10.2.0.0/16 dev xfrm42"],
      ["ip route add 2001:db8:2::/48 dev xfrm42", "ip route delete 2001:db8:2::/48 dev xfrm42"],
    ],
  );
});

test("an interface that is as it should be needs nothing, whatever device it belongs to", () => {
  assert.deepEqual(plan(interfaceOf(), right), []);
  assert.deepEqual(plan(interfaceOf(), { ...right, link: { ...link, device: "eth0" } }), []);
  assert.equal(mismatch(interfaceOf(), right), undefined);
  assert.equal(mismatch(interfaceOf(), nothing), "xfrm42 does not exist");
});

test("an address of another length, or with another end, is replaced", () => {
  const [ipv4, ipv6] = right.addresses;
  const differing = [
    { ...(ipv4 ?? assert.fail()), peer: "169.254.10.9" },
    { ...(ipv6 ?? assert.fail()), prefixLength: 126 },
  ];
  assert.deepEqual(plan(interfaceOf(), { ...right, addresses: differing }), [
    "ip address delete 169.254.10.1 peer 169.254.10.9/32 dev xfrm42",
    "ip address add 169.254.10.1 peer 169.254.10.2 dev xfrm42",
    "ip address delete fd00:42::1/126 dev xfrm42",
    "ip address add fd00:42::1/64 dev xfrm42",
  ]);
  const [first] = interfaceOf().addresses;
  const third = interfaceOf({ IPSEC_XFRM_IPADDR_PEER: "169.254.10.3" }).addresses[0] ?? assert.fail();
  const shared = { ...interfaceOf(), addresses: [first ?? assert.fail(), third] };
  assert.deepEqual(
    plan(shared, {
      ...right,
      addresses: [{ local: "169.254.10.1", peer: "169.254.10.3", prefixLength: 32 }],
    }),
    ["ip address add 169.254.10.1 peer 169.254.10.2 dev xfrm42"],
  );
  const others = [...right.addresses, { local: "169.254.20.1", prefixLength: 32 }];
  assert.deepEqual(plan(interfaceOf(), { ...right, addresses: others }), [], "those of others stay");
});

test("an interface of another kind or if_id is made anew, and its undo makes it again with its device", () => {
  for (const other of [{ interfaceId: 7, device: "eth0" }, { kind: "vti" }] as const) {
    const state = { ...right, link: { ...link, ...other } };
    assert.match(mismatch(interfaceOf(), state) ?? "", /is no XFRM interface, or has another if_id/);
    const steps = planVirtualInterface(interfaceOf(), state);
    const removal = steps.find(({ argv }) => pasteable(argv) === "ip link delete dev xfrm42");
    assert.ok(steps.some(({ argv }) => pasteable(argv) === "ip link add xfrm42 type xfrm if_id 42"));
    if ("device" in other)
      assert.equal(
        pasteable(removal?.undo ?? assert.fail()),
        "ip link add xfrm42 mtu 1422 type xfrm dev eth0 if_id 7",
      );
  }
});

test("only rp_filter is set, where it is strict, since its policies know the interface", () => {
  const settings = (values: Readonly<Record<string, string>>) =>
    plan(interfaceOf(), {
      ...right,
      sysctls: new Map(Object.entries(values).map(([name, value]) => [`net/ipv4/conf/${name}`, value])),
    });
  assert.deepEqual(
    settings({ "xfrm42/disable_policy": "0", "xfrm42/rp_filter": "0", "all/rp_filter": "0" }),
    [],
  );
  assert.deepEqual(settings({ "xfrm42/rp_filter": "0", "all/rp_filter": "1" }), [
    "sysctl -w net.ipv4.conf.xfrm42.rp_filter=2",
  ]);
});

test("the modules are those of the peer's family, and of both where it is not known", () => {
  const esp = (remote: string) =>
    modulesFor(interfaceOf({ IPSEC_LOCALIP: "%any", IPSEC_REMOTEIP: remote })).filter((name) =>
      name.startsWith("esp"),
    );
  assert.deepEqual(esp("192.0.2.2"), ["esp4"]);
  assert.deepEqual(esp("2001:db8::2"), ["esp6"]);
  assert.deepEqual(esp("%any"), ["esp4", "esp6"]);
  assert.deepEqual(esp("sun.example.com"), ["esp4", "esp6"]);
});

test("what iproute2 shows of it is understood, with and without a device", async () => {
  const shown = async (device: string | null) => {
    const answers = new Map([
      [
        "-details link show dev xfrm42",
        [
          {
            ...{ ifname: "xfrm42", link: device, mtu: 1422, flags: ["NOARP", "UP"] },
            linkinfo: { info_kind: "xfrm", info_data: { if_id: "0x2a" } },
          },
        ],
      ],
    ]);
    const state = await inspectInterface(interfaceOf(), async ([, , ...words]) => ({
      exitCode: 0,
      stdout: JSON.stringify(answers.get(words.join(" ")) ?? []),
      stderr: "",
    }));
    return state.link;
  };
  assert.deepEqual(await shown(null), link);
  assert.deepEqual(await shown("eth0"), { ...link, device: "eth0" });
});
