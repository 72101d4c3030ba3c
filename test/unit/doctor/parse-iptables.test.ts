import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { all, type Packet } from "../../../src/doctor/packet.ts";
import { parseIptables } from "../../../src/doctor/parse-iptables.ts";
import { parseNetwork } from "../../../src/ipsec/network.ts";
import { repository } from "../../support/repository.ts";

/** What iptables-nft-save 1.8.9 printed of rules that were made in a network namespace. */
const recorded = readFileSync(`${repository}/test/unit/doctor/recorded/iptables-save.txt`, "utf8");

const ruleset = parseIptables(recorded, "iptables-nft");

const network = (text: string) => {
  const parsed = parseNetwork(text);
  assert.ok(parsed.ok);
  return parsed.value.network;
};

const ike: Packet = {
  family: "ipv4",
  protocol: "udp",
  source: network("192.0.2.2"),
  destination: network("192.0.2.1"),
  sourcePort: 500,
  destinationPort: 500,
  state: "new",
  input: "eth0",
};

const inner: Packet = {
  family: "ipv4",
  protocol: "any",
  source: network("10.1.0.0/24"),
  destination: network("10.2.0.0/24"),
  state: "new",
  output: "eth0",
};

const ruleOf = (text: string) => {
  const rule = ruleset.flatMap(({ rules }) => rules).find((one) => one.text.includes(text));
  assert.ok(rule, text);
  return rule;
};

test("the chains are read with their tables, hooks and policies", () => {
  const chain = (table: string, name: string) =>
    ruleset.find((one) => one.table === table && one.name === name);
  assert.deepEqual(chain("filter", "FORWARD")?.base, {
    hook: "forward",
    type: "filter",
    priority: 0,
    policy: "drop",
  });
  assert.deepEqual(chain("filter", "INPUT")?.base, {
    hook: "input",
    type: "filter",
    priority: 0,
    policy: "accept",
  });
  assert.deepEqual(chain("nat", "POSTROUTING")?.base, {
    hook: "postrouting",
    type: "nat",
    priority: 100,
    policy: "accept",
  });
  assert.equal(chain("filter", "VPN")?.base, undefined);
  assert.equal(chain("filter", "INPUT")?.rules.length, 6);
});

test("each rule is judged for a packet, and its target is known", () => {
  const established: Packet = { ...ike, state: "established" };
  const natTraversal: Packet = { ...ike, sourcePort: 4500, destinationPort: 4500 };
  for (const [text, packet, expected, verdict] of [
    ["-p udp -m udp --dport 500 -j DROP", ike, "yes", "drop"],
    ["-p udp -m udp --dport 500 -j DROP", natTraversal, "no", "drop"],
    ['--comment "let IKE in" -j ACCEPT', natTraversal, "yes", "accept"],
    ['--comment "let IKE in" -j ACCEPT', { ...ike, source: network("192.0.2.3") }, "no", "accept"],
    ["--ctstate RELATED,ESTABLISHED", established, "yes", "accept"],
    ["--ctstate RELATED,ESTABLISHED", ike, "no", "accept"],
    // A target that is no chain lets packets go on.
    ["-m limit", ike, "maybe", "jump"],
    ["! --dport 1:1024", ike, "no", "drop"],
    ["-i lo -j VPN", ike, "no", "jump"],
    ["-m mark", ike, "maybe", "return"],
    ["! -d 10.0.0.0/8 -p esp", { ...ike, protocol: "esp" }, "yes", "drop"],
    ["! -d 10.0.0.0/8 -p esp", { ...ike, protocol: "esp", destination: network("10.9.0.1") }, "no", "drop"],
    ["--pol ipsec", { ...inner, toIpsec: true }, "yes", "accept"],
    ["--pol ipsec", { ...inner, toIpsec: false }, "no", "accept"],
    ["--pol ipsec", inner, "maybe", "accept"],
    ["! -o docker0 -j MASQUERADE", inner, "yes", "translate"],
    ["! -o docker0 -j MASQUERADE", { ...inner, output: "docker0" }, "no", "translate"],
    ["-j SNAT", inner, "yes", "translate"],
  ] as const) {
    const rule = ruleOf(text);
    assert.equal(
      all(rule.matches.map((matches) => matches(packet))),
      expected,
      `${text} for ${JSON.stringify(packet)}`,
    );
    assert.equal(rule.verdict.kind, verdict, text);
  }
});

test("a comment that looks like an option is a comment", () => {
  const [chain] = parseIptables(
    '*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -m comment --comment "-j" -p udp -j DROP\nCOMMIT\n',
    "iptables-legacy",
  );
  assert.equal(chain?.rules[0]?.verdict.kind, "drop");
  assert.equal(all((chain?.rules[0]?.matches ?? []).map((matches) => matches(ike))), "yes");
});
