import assert from "node:assert/strict";
import { test } from "node:test";
import { Failure } from "../../../src/failure.ts";
import { buildGateway } from "../../../src/gateway/from-settings.ts";
import type { Gateway } from "../../../src/gateway/gateway.ts";
import type { Effects } from "../../../src/host/apply.ts";
import { memoryJournal } from "../../../src/host/journal.ts";
import { movePacketRules, planPacketRules } from "../../../src/host/packet-rules.ts";
import { pasteable } from "../../../src/host/step.ts";
import { createLog } from "../../../src/observe/log.ts";
import type { ConnectionEnvironment } from "../../../src/settings/environment.ts";
import { parseSettings } from "../../../src/settings/parse-settings.ts";
import { environmentOf, minimal } from "../../support/environment-of.ts";

type Changes = Readonly<Record<string, string>>;

const gatewayOf = (...connections: readonly Changes[]): Gateway => {
  const common = { ...minimal, IPSEC_BACKEND: "swanctl" };
  const named = connections.map(
    (changes, index): ConnectionEnvironment => ({
      name: `site-${index}`,
      place: { file: "sites.yaml", line: index + 1, path: `connections.site-${index}` },
      environment: environmentOf({
        ...common,
        IPSEC_REMOTEIP: `198.51.100.${index + 1}`,
        ...changes,
      }),
    }),
  );
  const { settings, errors } = parseSettings(environmentOf(common), "gateway", named);
  assert.deepEqual(errors, []);
  return buildGateway(settings ?? assert.fail());
};

/** The lines of the table between its braces. */
const tableOf = (gateway: Gateway, dataplane: "kernel" | "userspace" = "kernel"): readonly string[] => {
  const [step, ...others] = planPacketRules(dataplane, gateway);
  assert.deepEqual(others, []);
  const { argv, input = "", undo = [] } = step ?? assert.fail();
  assert.deepEqual(argv, ["nft", "-f", "-"]);
  assert.equal(undo.join(" "), "nft delete table inet vnf_ipsec");
  const [add, remove, head, ...lines] = input.split("\n");
  assert.deepEqual(
    [add, remove, head],
    ["add table inet vnf_ipsec", "delete table inet vnf_ipsec", "table inet vnf_ipsec {"],
  );
  assert.deepEqual(lines.slice(-2), ["}", ""]);
  return lines.slice(0, -2).map((line) => line.trim());
};

const chainOf = (lines: readonly string[], name: string): readonly string[] => {
  const start = lines.indexOf(`chain ${name} {`);
  return start < 0 ? [] : lines.slice(start + 1, lines.indexOf("}", start));
};

const elementsOf = (lines: readonly string[], name: string): readonly string[] => {
  const start = lines.indexOf("elements = {", lines.indexOf(`set ${name} {`));
  return lines.slice(start + 1, lines.indexOf("}", start));
};

test("a thousand tunnels are one set of pairs, looked at only for a SYN, on its way to a tunnel and from one", () => {
  const lines = tableOf(
    gatewayOf(
      ...Array.from({ length: 1000 }, (_, index) => ({
        IPSEC_REMOTEIP: `203.0.${index >> 8}.${index & 255 || 256 - 1}`,
        IPSEC_REMOTEID: `site-${index}.example.com`,
        IPSEC_REMOTENET: `10.${100 + (index >> 8)}.${index & 255}.0/24`,
      })),
    ),
  );
  assert.equal(elementsOf(lines, "clamp_ipv4_1382").length, 1000);
  assert.deepEqual(chainOf(lines, "clamp_to_tunnels"), [
    "ip saddr . ip daddr @clamp_ipv4_1382 tcp option maxseg size set 1382",
  ]);
  assert.deepEqual(chainOf(lines, "clamp_from_tunnels"), [
    "ip daddr . ip saddr @clamp_ipv4_1382 tcp option maxseg size set 1382",
  ]);
  assert.deepEqual(chainOf(lines, "to_tunnels"), [
    "type filter hook postrouting priority srcnat + 50; policy accept;",
    "tcp flags & (syn | rst) == syn jump clamp_to_tunnels",
  ]);
  assert.deepEqual(chainOf(lines, "from_tunnels"), [
    "type filter hook prerouting priority mangle; policy accept;",
    "tcp flags & (syn | rst) == syn jump clamp_from_tunnels",
  ]);
  assert.deepEqual(chainOf(lines, "keep_sources"), []);
});

test("each size has a set of its own, and pairs that cross others have rules of their own", () => {
  const lines = tableOf(
    gatewayOf(
      { IPSEC_LOCALNET: "10.1.0.0/16,2001:db8:1::/48", IPSEC_REMOTENET: "10.2.3.0/24,2001:db8:2::/48" },
      { IPSEC_LOCALNET: "10.1.5.0/24", IPSEC_REMOTENET: "10.2.0.0/16" },
      { IPSEC_REMOTENET: "10.5.0.0/16", IPSEC_MSS: "1200" },
      { IPSEC_REMOTENET: "10.6.0.0/16", IPSEC_MSS: "off" },
    ),
  );
  assert.deepEqual(elementsOf(lines, "clamp_ipv4_1382"), ["10.1.5.0/24 . 10.2.0.0/16,"]);
  assert.deepEqual(elementsOf(lines, "clamp_ipv6_1362"), ["2001:db8:1::/48 . 2001:db8:2::/48,"]);
  assert.deepEqual(elementsOf(lines, "clamp_ipv4_1200"), ["10.1.0.0/16 . 10.5.0.0/16,"]);
  assert.deepEqual(chainOf(lines, "clamp_from_tunnels"), [
    "ip daddr . ip saddr @clamp_ipv4_1382 tcp option maxseg size set 1382",
    "ip daddr 10.1.0.0/16 ip saddr 10.2.3.0/24 tcp option maxseg size set 1382",
    "ip6 daddr . ip6 saddr @clamp_ipv6_1362 tcp option maxseg size set 1362",
    "ip daddr . ip saddr @clamp_ipv4_1200 tcp option maxseg size set 1200",
  ]);
  assert.ok(!lines.some((line) => line.includes("10.6.")));
});

test("what passes a virtual interface is the tunnel's, whatever its addresses; one that several share is named once", () => {
  const shared = { IPSEC_XFRM_IF_ID: "7", IPSEC_DATAPLANE: "kernel" };
  const lines = tableOf(
    gatewayOf(
      { ...shared, IPSEC_LOCALNET: "0.0.0.0/0", IPSEC_REMOTENET: "0.0.0.0/0", IPSEC_NAT_EXEMPT: "yes" },
      { ...shared, IPSEC_REMOTENET: "10.3.0.0/16" },
    ),
  );
  assert.deepEqual(chainOf(lines, "clamp_to_tunnels"), [
    'oifname "xfrm7" meta nfproto ipv4 tcp option maxseg size set 1382',
    'oifname "xfrm7" meta nfproto ipv6 tcp option maxseg size set 1362',
  ]);
  assert.deepEqual(chainOf(lines, "clamp_from_tunnels"), [
    'iifname "xfrm7" meta nfproto ipv4 tcp option maxseg size set 1382',
    'iifname "xfrm7" meta nfproto ipv6 tcp option maxseg size set 1362',
  ]);
  assert.deepEqual(chainOf(lines, "keep_sources"), [
    "type nat hook postrouting priority srcnat - 10; policy accept;",
    'oifname "xfrm7" ip saddr . ip daddr @keep_ipv4_xfrm7 snat ip to ip saddr',
  ]);
});

test("a source address is kept by a translation to itself, before others translate", () => {
  const lines = tableOf(gatewayOf({ IPSEC_MSS: "off", IPSEC_NAT_EXEMPT: "yes" }));
  assert.deepEqual(elementsOf(lines, "keep_ipv4"), ["10.1.0.0/16 . 10.2.0.0/16,"]);
  assert.deepEqual(chainOf(lines, "keep_sources"), [
    "type nat hook postrouting priority srcnat - 10; policy accept;",
    "ip saddr . ip daddr @keep_ipv4 snat ip to ip saddr",
  ]);
  assert.deepEqual(chainOf(lines, "to_tunnels"), []);
});

test("in user space segments are as small as strongSwan's device needs them", () => {
  assert.deepEqual(elementsOf(tableOf(gatewayOf({}), "userspace"), "clamp_ipv4_1360"), [
    "10.1.0.0/16 . 10.2.0.0/16,",
  ]);
});

test("where nothing is asked for no program is run", async () => {
  const { effects, ran } = await openHost();
  await movePacketRules("kernel", gatewayOf({ IPSEC_MSS: "off" }), effects);
  assert.deepEqual(ran, []);
});

test("rules are replaced in one command when they differ, left when they do not, and taken back when none are left", async () => {
  const { effects, ran, left } = await openHost();
  const [one, other, none] = [
    gatewayOf({}),
    gatewayOf({ IPSEC_MSS: "1200" }),
    gatewayOf({ IPSEC_MSS: "off" }),
  ];
  await movePacketRules("kernel", one, effects);
  await movePacketRules("kernel", gatewayOf({}), effects, one);
  assert.deepEqual(ran.splice(0), ["nft -f -", "nft --terse list table inet vnf_ipsec"]);
  await movePacketRules("kernel", other, effects, one);
  assert.deepEqual(ran.splice(0), ["nft -f -"]);
  assert.deepEqual(left(), ["nft delete table inet vnf_ipsec"]);
  await movePacketRules("kernel", none, effects, other);
  assert.deepEqual(ran.splice(0), ["nft delete table inet vnf_ipsec"]);
  assert.deepEqual(left(), []);
});

test("a kernel that refuses, or a missing nft, is a warning with its remedy where nobody has asked", async () => {
  for (const [refusal, hint] of [
    [
      { exitCode: 127, stderr: "Command failed with ENOENT: nft -f -" },
      /^install nftables, or set IPSEC_MSS=off$/,
    ],
    [
      {
        exitCode: 1,
        stderr: "/dev/stdin:1:1-2: Error: Could not process rule: Not supported\nadd table\n^^^^",
      },
      /^load the kernel's modules .*, or set IPSEC_MSS=off$/,
    ],
    [
      { exitCode: 1, stderr: "netlink: Error: cache initialization failed: Operation not permitted" },
      /^run with the capability NET_ADMIN, .*, or set IPSEC_MSS=off$/,
    ],
  ] as const) {
    const { effects, records, left } = await openHost(refusal);
    await movePacketRules("kernel", gatewayOf({}), effects);
    const [warning, ...others] = records.filter(({ event }) => event === "packet-rules");
    assert.deepEqual(others, []);
    assert.equal(warning?.["level"], "warn");
    assert.match(String(warning?.["hint"]), hint);
    assert.ok(String(warning?.["reason"]).includes(refusal.stderr.split("\n")[0] ?? ""));
    assert.deepEqual(left(), []);
  }
});

test("where somebody counts on the rules it is a failure that names the variable and how to do without", async () => {
  for (const [changes, variable, hint] of [
    [{ IPSEC_MSS: "1300" }, "IPSEC_MSS", "install nftables, or do without: IPSEC_MSS=off"],
    [{ IPSEC_NAT_EXEMPT: "yes" }, "IPSEC_NAT_EXEMPT", "install nftables, or do without: IPSEC_NAT_EXEMPT=no"],
    [
      { IPSEC_MSS: "1300", IPSEC_NAT_EXEMPT: "yes" },
      "IPSEC_MSS, IPSEC_NAT_EXEMPT",
      "install nftables, or do without: IPSEC_MSS=off, IPSEC_NAT_EXEMPT=no",
    ],
  ] as const) {
    const { effects } = await openHost({ exitCode: 127, stderr: "Command failed with ENOENT: nft -f -" });
    const error = await movePacketRules("kernel", gatewayOf(changes), effects).catch(
      (reason: unknown) => reason,
    );
    assert.ok(error instanceof Failure);
    assert.equal(error.exitCode, 69);
    assert.deepEqual(
      error.problems.map((problem) => [problem.variable, problem.hint]),
      [[variable, hint]],
    );
  }
});

test("rules that could not be replaced are still to be taken back", async () => {
  const { effects, left } = await openHost({ exitCode: 1, stderr: "Error: no" });
  effects.journal.add([["nft", "delete", "table", "inet", "vnf_ipsec"]]);
  await movePacketRules("kernel", gatewayOf({}), effects);
  assert.deepEqual(left(), ["nft delete table inet vnf_ipsec"]);
});

/** Programs that all end so; with what was run and logged. */
const openHost = async (
  result: { readonly exitCode: number; readonly stderr: string } = { exitCode: 0, stderr: "" },
) => {
  const ran: string[] = [];
  const records: Record<string, unknown>[] = [];
  const log = await createLog({
    level: "info",
    format: "json",
    destination: { write: (line: string) => void records.push(JSON.parse(line)) },
    secrets: () => [],
  });
  const effects: Effects = {
    log,
    journal: memoryJournal(),
    runProgram: async (argv) => {
      ran.push(pasteable(argv));
      return { stdout: "", ...result };
    },
  };
  return { effects, ran, records, left: () => effects.journal.entries().map(pasteable) };
};
