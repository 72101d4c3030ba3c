import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import { all, type Packet } from "../../../src/doctor/packet.ts";
import { parseNft } from "../../../src/doctor/parse-nft.ts";
import { fateOf } from "../../../src/doctor/ruleset.ts";
import { parseNetwork } from "../../../src/ipsec/network.ts";
import { repository } from "../../support/repository.ts";

const recorded = (name: string): string =>
  readFileSync(`${repository}/test/unit/doctor/recorded/${name}`, "utf8");

/** What nft 1.0.6 printed of a ruleset that was loaded in a network namespace. */
const ruleset = parseNft(recorded("nft-ruleset.json"), recorded("nft-ruleset.txt"));

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
  input: "d0",
  output: "",
};

const natTraversal: Packet = { ...ike, sourcePort: 4500, destinationPort: 4500 };
const { sourcePort, destinationPort, ...portless } = ike;
const esp: Packet = { ...portless, protocol: "esp" };
const unknown: Packet = { family: "ipv4", protocol: "any", state: "new" };

const answerOf = (text: string, packet: Packet): string => {
  const rules = ruleset.flatMap((chain) => chain.rules).filter((rule) => rule.text.startsWith(text));
  assert.notEqual(rules.length, 0, text);
  return rules.map(({ matches }) => all(matches.map((matches) => matches(packet)))).join(" ");
};

test("the chains are read with their hooks, types, policies and devices", () => {
  assert.deepEqual(
    ruleset.map(({ family, table, name, base, rules }) => [`${family} ${table} ${name}`, base, rules.length]),
    [
      ["inet filter input", { hook: "input", type: "filter", priority: 0, policy: "drop" }, 18],
      ["inet filter more", undefined, 7],
      ["inet filter last", undefined, 1],
      ["inet filter output", { hook: "output", type: "filter", priority: 0, policy: "accept" }, 2],
      [
        "netdev guard passage",
        { hook: "ingress", type: "filter", priority: 0, policy: "accept", devices: ["d0"] },
        2,
      ],
      ["ip nat postrouting", { hook: "postrouting", type: "nat", priority: 100, policy: "accept" }, 5],
    ],
  );
});

test("a rule is shown in nft's own words", () => {
  const texts = ruleset.flatMap(({ rules }) => rules.map(({ text }) => text));
  assert.ok(texts.includes("ip saddr @peers udp dport { 500, 4500 } accept"));
  assert.ok(texts.every((text) => !text.startsWith("[")));
});

test("each rule is judged for a packet: yes, no, or maybe where that depends on what is not known", () => {
  const established: Packet = { ...ike, state: "established" };
  const stranger: Packet = { ...ike, source: network("203.0.113.9") };
  for (const [text, packet, expected] of [
    // The elements of a map are rules of their own, in the order of the listing: invalid, established, related.
    ["ct state vmap", ike, "no no no"],
    ["ct state vmap", established, "no yes no"],
    ["ct state {", established, "yes"],
    ["ct state established,related", ike, "no"],
    ["ct state established,related", established, "yes"],
    ['iifname "lo"', ike, "no"],
    ['iif "lo"', unknown, "maybe"],
    ["meta l4proto { icmp", ike, "no"],
    ["ip saddr @peers", ike, "yes"],
    ["ip saddr @peers", stranger, "no"],
    ["ip saddr @peers", { ...ike, source: network("198.51.100.77") }, "yes"],
    ["ip saddr @peers", { ...ike, source: undefined }, "maybe"],
    ["ip saddr @peers", esp, "no"],
    ["ip protocol esp", esp, "yes"],
    ["ip protocol esp", ike, "no"],
    ["meta l4proto esp", esp, "yes"],
    ["meta l4proto esp", unknown, "maybe"],
    ["limit rate", ike, "maybe"],
    ["udp dport 33434-33523", ike, "no"],
    ["udp dport 33434-33523", { ...ike, destinationPort: 33500 }, "yes"],
    ["udp dport >= 60000", ike, "no"],
    ["udp dport >= 60000", { ...ike, destinationPort: 60000 }, "yes"],
    ["udp dport >= 60000", esp, "no"],
    ["th dport 4500", natTraversal, "yes"],
    ["th dport 4500", ike, "no"],
    ["meta mark", ike, "maybe"],
    ["ip saddr 10.0.0.0/8 return", ike, "no"],
    ["ip saddr 10.0.0.0/8 return", { ...ike, source: network("10.1.0.0/16") }, "yes"],
    ["ip saddr 10.0.0.0/8 return", { ...ike, source: network("10.0.0.0/7") }, "maybe"],
    ["ip daddr != 192.0.2.1", ike, "no"],
    ["ip daddr != 192.0.2.1", stranger, "no"],
    ["ip6 saddr 2001:db8::/32", ike, "no"],
    ["ip6 saddr 2001:db8::/32", { ...ike, family: "ipv6", source: network("2001:db8::1") }, "yes"],
    ["meta nfproto ipv6", ike, "no"],
    ["ip saddr 10.1.0.0-10.1.0.9", { ...ike, source: network("10.1.0.8/31") }, "yes"],
    ["ip saddr 10.1.0.0-10.1.0.9", { ...ike, source: network("10.1.0.0/24") }, "maybe"],
    ["udp dport vmap", ike, "yes no"],
    ["udp dport vmap", { ...ike, destinationPort: 650 }, "no yes"],
    ["esp spi 1", esp, "maybe"],
    ["esp spi 1", ike, "no"],
    ["meta protocol { ip, ip6 } udp dport 500", ike, "yes"],
    ["numgen random", ike, "maybe"],
    ["rt ipsec exists", { ...unknown, toIpsec: true }, "yes"],
    ["rt ipsec exists", { ...unknown, toIpsec: false }, "no"],
    ["rt ipsec exists", unknown, "maybe"],
    ['oifname "d0" masquerade', { ...unknown, output: "d0" }, "yes"],
    ['oifname "eth*" masquerade', { ...unknown, output: "eth7" }, "yes"],
    ['oifname "eth*" masquerade', { ...unknown, output: "d0" }, "no"],
  ] as const) {
    assert.equal(answerOf(text, packet), expected, `${text} for ${JSON.stringify(packet)}`);
  }
});

test("what cannot be listed in nft's words may match: a named set that is missing, an extension of iptables", () => {
  const [chain] = parseNft(
    JSON.stringify({
      nftables: [
        { chain: { family: "ip", table: "t", name: "c", hook: "input", type: "filter", prio: 0 } },
        {
          rule: {
            family: "ip",
            table: "t",
            chain: "c",
            handle: 1,
            expr: [
              {
                match: {
                  op: "==",
                  left: { payload: { protocol: "ip", field: "saddr" } },
                  right: "@elsewhere",
                },
              },
              { drop: null },
            ],
          },
        },
        {
          rule: {
            family: "ip",
            table: "t",
            chain: "c",
            handle: 2,
            expr: [{ xt: { type: "match", name: "policy" } }, { xt: { type: "target", name: "REJECT" } }],
          },
        },
      ],
    }),
    "",
  );
  assert.deepEqual(
    chain?.rules.map(({ matches, verdict }) => [all(matches.map((one) => one(ike))), verdict.kind]),
    [
      ["maybe", "drop"],
      ["maybe", "drop"],
    ],
  );
});

test("whatever a rule is made of, it is read, and what is not understood does not stop a packet for certain", () => {
  const words = ["match", "vmap", "xt", "limit", "counter", "jump", "quota", "ct count"];
  const statement = fc.dictionary(fc.constantFrom(...words), fc.jsonValue(), { minKeys: 1, maxKeys: 1 });
  fc.assert(
    fc.property(fc.array(statement, { maxLength: 4 }), (expr) => {
      const [chain] = parseNft(
        JSON.stringify({
          nftables: [
            { chain: { family: "ip", table: "t", name: "c", hook: "input", type: "filter", prio: 0 } },
            { rule: { family: "ip", table: "t", chain: "c", handle: 1, expr } },
          ],
        }),
        "",
      );
      assert.ok(chain);
      assert.equal(fateOf([chain], ["input"], ["filter"], ike).passes, true);
    }),
  );
});

test("thousands of chains and rules, as a node of a cluster has them, are judged in no time", () => {
  const place = { family: "ip", table: "nat" } as const;
  const [levels, width] = [15, 333];
  const jump = (from: string, target: string, handle: number) => ({
    rule: {
      ...place,
      chain: from,
      handle,
      expr: [{ xt: { type: "match", name: "comment" } }, { jump: { target } }],
    },
  });
  const chains = Array.from({ length: levels * width }, (_, index) => ({
    chain: { ...place, name: `svc${index}` },
  }));
  // Each leads to three of the next level, so there are millions of ways through them.
  const jumps = Array.from({ length: (levels - 1) * width }, (_, index) =>
    [0, 1, 2].map((way) => {
      const target = (Math.floor(index / width) + 1) * width + ((3 * index + way) % width);
      return jump(`svc${index}`, `svc${target}`, 3 * index + way);
    }),
  ).flat();
  const base = { chain: { ...place, name: "post", hook: "postrouting", type: "nat", prio: 100 } };
  const startMs = performance.now();
  const many = parseNft(
    JSON.stringify({ nftables: [base, ...chains, jump("post", "svc0", 99_999), ...jumps] }),
    "",
  );
  assert.deepEqual(fateOf(many, ["postrouting"], ["nat"], unknown), { passes: true, obstacles: [] });
  assert.ok(performance.now() - startMs < 5_000);
});
