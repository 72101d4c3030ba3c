import assert from "node:assert/strict";
import { test } from "node:test";
import { buildGateway } from "../../../src/gateway/from-settings.ts";
import type { Gateway } from "../../../src/gateway/gateway.ts";
import type { Effects } from "../../../src/host/apply.ts";
import {
  moveDiscardPolicies,
  planDiscardPolicies,
  undoAllButDiscarding,
  undoEverything,
} from "../../../src/host/discard-policies.ts";
import { memoryJournal } from "../../../src/host/journal.ts";
import { pasteable } from "../../../src/host/step.ts";
import { createLog } from "../../../src/observe/log.ts";
import { parseSettings } from "../../../src/settings/parse-settings.ts";
import { environmentOf, minimal } from "../../support/environment-of.ts";

const gatewayOf = (changes: Readonly<Record<string, string>> = {}): Gateway => {
  const { settings } = parseSettings(environmentOf({ ...minimal, ...changes }), "gateway");
  return buildGateway(settings ?? assert.fail());
};

const block = (pair: string): string => `${pair} dir out action block priority 4294967294`;

const updates = (...pairs: readonly string[]): readonly string[] =>
  pairs.flatMap((pair) =>
    ["0", "1"].map((mark) => `ip xfrm policy update ${block(pair)} mark ${mark} mask 1`),
  );

const deletions = (...pairs: readonly string[]): readonly string[] =>
  pairs.map((pair) => `ip xfrm policy deleteall ${block(pair)}`);

const planned = (gateway: Gateway): readonly string[] =>
  planDiscardPolicies("kernel", gateway).map(({ argv }) => pasteable(argv));

test("each pair of networks of one family is discarded, with and without the lowest bit of the mark", () => {
  const gateway = gatewayOf({
    IPSEC_LOCALNET: "10.1.0.0/24,2001:db8:1::/64",
    IPSEC_REMOTENET: "10.2.0.0/24,10.3.0.7,2001:db8:2::/64",
  });
  assert.deepEqual(
    planned(gateway),
    updates(
      "src 10.1.0.0/24 dst 10.2.0.0/24",
      "src 10.1.0.0/24 dst 10.3.0.7/32",
      "src 2001:db8:1::/64 dst 2001:db8:2::/64",
    ),
  );
});

test("a peer of IPv6 that is in its own networks may be looked for, and look for us, until there is a tunnel", () => {
  const gateway = gatewayOf({
    IPSEC_LOCALIP: "2001:db8::1",
    IPSEC_REMOTEIP: "2001:db8::2",
    IPSEC_LOCALNET: "2001:db8::1",
    IPSEC_REMOTENET: "2001:db8::2,2001:db8:2::/64",
  });
  const allowed = planDiscardPolicies("kernel", gateway).filter(({ argv }) => argv.includes("allow"));
  const ways = [
    ["src 2001:db8::1/128 dst 2001:db8::2/128 proto ipv6-icmp", "dir out action allow priority 268928"],
    ["src 2001:db8::2/128 dst 2001:db8::1/128 proto ipv6-icmp", "dir in action allow priority 268928"],
  ];
  assert.deepEqual(
    allowed.map(({ argv }) => pasteable(argv)),
    ways.flatMap(([selector, rest]) =>
      ["135", "136"].map((type) => `ip xfrm policy update ${selector} type ${type} ${rest}`),
    ),
  );
  assert.deepEqual(
    allowed.flatMap(({ undo }) => (undo === undefined ? [] : [pasteable(undo)])),
    ways.map(([selector, rest]) => `ip xfrm policy deleteall ${selector} ${rest}`),
  );
});

test("with ESP in user space, a virtual interface or a manual configuration there is nothing to discard", () => {
  assert.deepEqual(planDiscardPolicies("userspace", gatewayOf()), []);
  assert.deepEqual(planned(gatewayOf({ IPSEC_VTI_KEY: "42" })), []);
  assert.deepEqual(planned(gatewayOf({ IPSEC_BACKEND: "swanctl", IPSEC_XFRM_IF_ID: "42" })), []);
  assert.deepEqual(planned(gatewayOf({ IPSEC_USE_MANUAL_CONFIG: "yes" })), []);
});

test("what is no longer discarded is taken back before the rest is made sure of, and it survives the tidying of a start", async () => {
  const { effects, ran } = await recordPrograms();
  const [pair, other] = ["src 10.1.0.0/16 dst 10.2.0.0/16", "src 10.1.0.0/16 dst 10.3.0.0/16"];
  await moveDiscardPolicies("kernel", gatewayOf(), effects);
  assert.deepEqual(ran.splice(0), updates(pair));
  effects.journal.add([["ip", "route", "del", "10.2.0.0/16"]]);
  await undoAllButDiscarding(effects);
  assert.deepEqual(ran.splice(0), ["ip route del 10.2.0.0/16"]);
  assert.deepEqual(effects.journal.entries().map(pasteable), deletions(pair));
  await moveDiscardPolicies("kernel", gatewayOf({ IPSEC_REMOTENET: "10.3.0.0/16" }), effects);
  assert.deepEqual(ran.splice(0), [...deletions(pair), ...updates(other)]);
  assert.deepEqual(effects.journal.entries().map(pasteable), deletions(other));
});

test("of many networks a single deletion takes everything back at the end, after all else", async () => {
  const { effects, ran } = await recordPrograms();
  const networks = Array.from({ length: 20 }, (_, index) => `10.2.${index}.0/24`);
  await moveDiscardPolicies("kernel", gatewayOf({ IPSEC_REMOTENET: networks.join(",") }), effects);
  assert.deepEqual(ran.splice(0), ["ip -batch -"]);
  effects.journal.add([["ip", "route", "del", "10.2.0.0/16"]]);
  await undoEverything(effects);
  assert.deepEqual(ran, [
    "ip route del 10.2.0.0/16",
    "ip xfrm policy deleteall dir out action block priority 4294967294",
  ]);
  assert.deepEqual(effects.journal.entries(), []);
});

test("with many networks, those that may look for each other are taken back by themselves", async () => {
  const { effects, ran } = await recordPrograms();
  const networks = Array.from({ length: 20 }, (_, index) => `2001:db8:2:${index}::/64`);
  const gateway = gatewayOf({
    IPSEC_LOCALIP: "2001:db8:1::1",
    IPSEC_REMOTEIP: "2001:db8:2:7::1",
    IPSEC_LOCALNET: "2001:db8:1::/64",
    IPSEC_REMOTENET: networks.join(","),
  });
  await moveDiscardPolicies("kernel", gateway, effects);
  ran.splice(0);
  await undoEverything(effects);
  assert.deepEqual(ran.sort(), [
    "ip xfrm policy deleteall dir out action block priority 4294967294",
    "ip xfrm policy deleteall src 2001:db8:1::/64 dst 2001:db8:2:7::/64 proto ipv6-icmp dir out action allow priority 334464",
    "ip xfrm policy deleteall src 2001:db8:2:7::/64 dst 2001:db8:1::/64 proto ipv6-icmp dir in action allow priority 334464",
  ]);
  assert.deepEqual(effects.journal.entries(), []);
});

const recordPrograms = async () => {
  const ran: string[] = [];
  const effects: Effects = {
    log: await createLog({
      level: "silent",
      format: "json",
      destination: { write: () => {} },
      secrets: () => [],
    }),
    journal: memoryJournal(),
    runProgram: async (argv) => {
      ran.push(pasteable(argv));
      return { exitCode: 0, stdout: "", stderr: "" };
    },
  };
  return { effects, ran };
};
