import assert from "node:assert/strict";
import { test } from "node:test";
import { all, type Packet } from "../../../src/doctor/packet.ts";
import { readRuleset } from "../../../src/doctor/read-ruleset.ts";
import type { RunProgram } from "../../../src/host/run-program.ts";
import { parseNetwork } from "../../../src/ipsec/network.ts";

/** Programs by their words; others are not installed. */
const playing =
  (outputs: Readonly<Record<string, string>>): RunProgram =>
  async (argv) => {
    const stdout = outputs[argv.join(" ")];
    return stdout === undefined
      ? { exitCode: 127, stdout: "", stderr: "not installed" }
      : { exitCode: 0, stdout, stderr: "" };
  };

const place = { family: "ip", table: "filter", chain: "INPUT" };

/** What nft 1.0.6 and iptables-nft-save 1.8.9 say of one chain, each misreading what the other has made. */
const json = JSON.stringify({
  nftables: [
    {
      chain: {
        family: "ip",
        table: "filter",
        name: "INPUT",
        hook: "input",
        type: "filter",
        prio: 0,
        policy: "accept",
      },
    },
    {
      rule: {
        ...place,
        handle: 2,
        expr: [
          {
            match: {
              op: "==",
              left: { payload: { protocol: "ip", field: "saddr" } },
              right: "203.0.113.9",
            },
          },
          { drop: null },
        ],
      },
    },
    {
      rule: {
        ...place,
        handle: 3,
        expr: [
          { match: { op: "==", left: { meta: { key: "l4proto" } }, right: "udp" } },
          { xt: { type: "match", name: "multiport" } },
          { counter: { packets: 0, bytes: 0 } },
          { drop: null },
        ],
      },
    },
  ],
});
const text = `table ip filter {
	chain INPUT { # handle 1
		ip saddr 203.0.113.9 drop # handle 2
		meta l4proto udp xt match "multiport" counter packets 0 bytes 0 drop # handle 3
	}
}`;
const saved = `*filter
:INPUT ACCEPT [0:0]
-A INPUT -j DROP
-A INPUT -p udp -m multiport --dports 500,4500 -j DROP
COMMIT`;

const source = parseNetwork("192.0.2.2");
const ike: Packet = {
  family: "ipv4",
  protocol: "udp",
  ...(source.ok ? { source: source.value.network } : {}),
  sourcePort: 500,
  destinationPort: 500,
  state: "new",
};

test("nft's word counts, and that of iptables for what is opaque to nft", async () => {
  const { ruleset } = await readRuleset(
    playing({ "nft -j list ruleset": json, "nft -a list ruleset": text, "iptables-nft-save": saved }),
  );
  assert.deepEqual(
    ruleset?.map(({ program, rules }) => [
      program,
      rules.map((rule) => `${all(rule.matches.map((one) => one(ike)))} ${rule.text}`),
    ]),
    [
      [
        "iptables-nft",
        ["no ip saddr 203.0.113.9 drop", "yes -A INPUT -p udp -m multiport --dports 500,4500 -j DROP"],
      ],
    ],
  );
});

test("one of the programs suffices, and without any there is no ruleset", async () => {
  const nft = await readRuleset(playing({ "nft -j list ruleset": json, "nft -a list ruleset": text }));
  assert.equal(nft.ruleset?.[0]?.program, "nft");
  const iptables = await readRuleset(playing({ "iptables-nft-save": saved }));
  assert.equal(iptables.ruleset?.[0]?.rules.length, 2);
  assert.deepEqual(Object.keys(iptables.listings), ["iptables-nft-save"]);
  assert.deepEqual(await readRuleset(playing({})), { listings: {} });
});
