import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import { checkFirewall, type Ends } from "../../../src/doctor/check-firewall.ts";
import {
  checkForwarding,
  checkTranslation,
  type ProtectedTraffic,
} from "../../../src/doctor/check-protected-traffic.ts";
import { parseIptables } from "../../../src/doctor/parse-iptables.ts";
import { parseNft } from "../../../src/doctor/parse-nft.ts";
import { fateOf } from "../../../src/doctor/ruleset.ts";
import { parseNetwork } from "../../../src/ipsec/network.ts";
import { repository } from "../../support/repository.ts";

const recorded = (name: string): string =>
  readFileSync(`${repository}/test/unit/doctor/recorded/${name}`, "utf8");

const network = (text: string) => {
  const parsed = parseNetwork(text);
  assert.ok(parsed.ok);
  return parsed.value.network;
};

const ends: Ends = {
  family: "ipv4",
  local: network("192.0.2.1"),
  remote: network("192.0.2.2"),
  device: "eth0",
  plainEsp: true,
  onlyAnswers: false,
};

const traffic: ProtectedTraffic = {
  local: network("10.1.0.0/24"),
  remote: network("10.2.0.0/24"),
  device: "eth0",
  byPolicy: true,
};

type Policies = { readonly input?: string; readonly output?: string; readonly forward?: string };

const filter = (rules: readonly string[], policies: Policies = {}) =>
  parseIptables(
    [
      "*filter",
      `:INPUT ${policies.input ?? "ACCEPT"} [0:0]`,
      `:FORWARD ${policies.forward ?? "ACCEPT"} [0:0]`,
      `:OUTPUT ${policies.output ?? "ACCEPT"} [0:0]`,
      ":OURS - [0:0]",
      ...rules,
      "COMMIT",
    ].join("\n"),
    "iptables-nft",
  );

const nat = (...rules: string[]) =>
  parseIptables(["*nat", ":POSTROUTING ACCEPT [0:0]", ...rules, "COMMIT"].join("\n"), "iptables-nft");

/** Verdicts and messages, shortened to what is about. */
const found = (rules: readonly string[], policies: Policies = {}, change: Partial<Ends> = {}) =>
  checkFirewall(filter(rules, policies), [{ ...ends, ...change }]).map(
    ({ verdict, message }) => `${verdict}: ${message}`,
  );

const good = ["ok: no rule of this host stops UDP 500, UDP 4500 or ESP"];

test("no rules, and rules about others, stop nothing", () => {
  assert.deepEqual(found([]), good);
  assert.deepEqual(
    found([
      "-A INPUT -p tcp -j DROP",
      "-A INPUT -i wlan0 -j DROP",
      "-A OUTPUT -d 203.0.113.0/24 -j DROP",
      "-A INPUT -s 203.0.113.0/24 -p udp -j DROP",
      "-A FORWARD -j DROP",
    ]),
    good,
  );
});

test("a rule that drops IKE is a failure that shows the rule, and the command that lets it pass", () => {
  const results = checkFirewall(filter(["-A OUTPUT -p udp -m udp --dport 500 -j DROP"]), [ends]);
  assert.deepEqual(results, [
    {
      name: "firewall",
      verdict: "failure",
      message:
        "packets of UDP 500 to the peer are dropped: iptables-nft filter OUTPUT: -p udp -m udp --dport 500 -j DROP",
      hint: "iptables-nft -I OUTPUT -p udp -m multiport --dports 500,4500 -j ACCEPT",
      details: {
        rules: ["iptables-nft filter OUTPUT: -p udp -m udp --dport 500 -j DROP"],
        certain: true,
      },
    },
  ]);
});

test("an exception before the rule counts, one behind it does not", () => {
  const drop = "-A INPUT -p udp -j DROP";
  const accept = "-A INPUT -s 192.0.2.2/32 -p udp -m multiport --dports 500,4500 -j ACCEPT";
  assert.deepEqual(found([accept, drop]), good);
  assert.deepEqual(found([drop, accept]), [
    "failure: packets of UDP 500, UDP 4500 from the peer are dropped: iptables-nft filter INPUT: -p udp -j DROP",
  ]);
});

test("a chain that is jumped to counts, up to its return", () => {
  assert.deepEqual(found(["-A INPUT -j OURS", "-A OURS -p esp -j DROP"]), [
    "failure: packets of ESP from the peer are dropped: iptables-nft filter INPUT: -p esp -j DROP",
  ]);
  assert.deepEqual(found(["-A INPUT -j OURS", "-A OURS -s 192.0.2.2/32 -j RETURN", "-A OURS -j DROP"]), good);
});

test("after a chain that is gone to, what follows is not reached and the policy decides", () => {
  const rules = ["-A INPUT -g OURS", "-A INPUT -j DROP", "-A OURS -p tcp -j DROP"];
  assert.deepEqual(found(rules), good);
  assert.equal(found(rules, { input: "DROP" })[0]?.split(" ")[0], "failure:");
  assert.equal(found(["-A INPUT -g OURS", "-A OURS -p udp -j DROP"])[0]?.split(" ")[0], "failure:");
});

test("tables of the old and the new kind are judged side by side, each with its own chains", () => {
  const legacy = parseIptables(
    "*filter\n:INPUT ACCEPT [0:0]\n:OURS - [0:0]\n-A INPUT -j OURS\n-A OURS -p esp -j DROP\nCOMMIT\n",
    "iptables-legacy",
  );
  const [one, ...others] = checkFirewall(
    [...filter(["-A INPUT -j OURS", "-A OURS -j ACCEPT"]), ...legacy],
    [ends],
  );
  assert.deepEqual(others, []);
  assert.equal(one?.verdict, "failure");
  assert.equal(one?.hint, "iptables-legacy -I INPUT -p esp -j ACCEPT");
  assert.equal(
    fateOf(legacy, ["input"], ["filter"], { family: "ipv6", protocol: "esp", state: "new" }).passes,
    true,
  );
});

test("a policy of drop with answers accepted lets us begin, and is a failure only for who waits to be called", () => {
  const rules = ["-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"];
  const message =
    "packets of UDP 500, UDP 4500, ESP from the peer are dropped unless we began, so it cannot begin by itself: iptables-nft filter INPUT: policy drop";
  assert.deepEqual(found(rules, { input: "DROP" }), [`warning: ${message}`]);
  assert.deepEqual(found(rules, { input: "DROP" }, { onlyAnswers: true }), [`failure: ${message}`]);
});

test("a rule that depends on what is not known is a warning", () => {
  assert.deepEqual(found(["-A INPUT -m set --match-set bad src -j DROP"]), [
    "warning: packets of UDP 500, UDP 4500, ESP from the peer may be dropped: iptables-nft filter INPUT: -m set --match-set bad src -j DROP",
  ]);
  assert.deepEqual(found(["-A INPUT -s 192.0.2.2/32 -j DROP"], {}, { remote: undefined, plainEsp: false }), [
    "warning: packets of UDP 500, UDP 4500 from the peer may be dropped: iptables-nft filter INPUT: -s 192.0.2.2/32 -j DROP",
  ]);
});

test("ESP matters only where it goes without UDP", () => {
  const rules = ["-A OUTPUT -p esp -j REJECT"];
  assert.equal(found(rules).length, 1);
  assert.deepEqual(found(rules, {}, { plainEsp: false }), good);
});

test("without a program that lists rules the check says so, and what to do", () => {
  const [one] = checkFirewall(undefined, [ends]);
  assert.equal(one?.verdict, "skipped");
  assert.ok(one?.hint);
});

const translated = (change: Partial<ProtectedTraffic>, ...rules: string[]) =>
  checkTranslation(nat(...rules), [{ ...traffic, ...change }], unasked).map(({ verdict, hint }) => [
    verdict,
    hint,
  ]);

const unasked = { isAsked: false, isMade: true };

const masquerade = "-A POSTROUTING -s 10.1.0.0/24 -o eth0 -j MASQUERADE";
const command = "iptables-nft -t nat -I POSTROUTING -s 10.1.0.0/24 -d 10.2.0.0/24 -j ACCEPT";
const remedy = `set IPSEC_NAT_EXEMPT=yes, or: ${command}`;

test("masquerading that would take the tunnel's packets is a failure, with the exemption to add", () => {
  assert.deepEqual(translated({}, masquerade), [["failure", remedy]]);
  assert.deepEqual(translated({}, "-A POSTROUTING -j SNAT --to-source 192.0.2.1"), [["failure", remedy]]);
});

/** What nft 1.0.6 printed of our own table for these networks, beside a masquerade of all that leaves by eth0. */
const exempted = parseNft(recorded("nft-packet-rules.json"), recorded("nft-packet-rules.txt"));

test("a rule of IPSEC_NAT_EXEMPT spares the pairs in it, and no others, what later chains do, and no earlier ones", () => {
  const verdict = (local: string, remote: string, ruleset = exempted): string | undefined =>
    checkTranslation(ruleset, [{ ...traffic, local: network(local), remote: network(remote) }], {
      isAsked: true,
      isMade: true,
    })[0]?.verdict;
  assert.equal(verdict("10.1.0.0/16", "10.2.0.0/16"), "ok");
  assert.equal(verdict("10.1.7.0/24", "10.2.3.0/24"), "ok");
  assert.equal(verdict("10.1.0.0/16", "10.3.0.0/16"), "failure");
  assert.equal(verdict("10.0.0.0/8", "10.2.0.0/16"), "warning");
  const first = exempted.map((chain) =>
    chain.name === "post" && chain.base ? { ...chain, base: { ...chain.base, priority: 80 } } : chain,
  );
  assert.equal(verdict("10.1.0.0/16", "10.2.0.0/16", first), "failure");
  const iptables = [...nat(masquerade), ...exempted.filter(({ table }) => table === "vnf_ipsec")];
  assert.equal(verdict("10.1.0.0/24", "10.2.0.0/24", iptables), "ok");
});

test("what a gateway that does not run yet would exempt is well; what one that runs cannot exempt has another remedy", () => {
  const judged = (isMade: boolean) =>
    checkTranslation(nat(masquerade), [traffic], { isAsked: true, isMade }).map(({ verdict, hint }) => [
      verdict,
      hint,
    ]);
  assert.deepEqual(judged(false), [["ok", undefined]]);
  assert.deepEqual(judged(true), [["failure", command]]);
});

test("an exemption by policy, by network or by another interface spares them", () => {
  for (const exempt of [
    "-A POSTROUTING -m policy --dir out --pol ipsec -j ACCEPT",
    "-A POSTROUTING -d 10.2.0.0/24 -j RETURN",
    "-A POSTROUTING -s 10.1.0.0/24 -d 10.0.0.0/8 -j ACCEPT",
  ])
    assert.deepEqual(translated({}, exempt, masquerade), [["ok", undefined]], exempt);
  assert.deepEqual(translated({ device: "vti42", byPolicy: false }, masquerade), [["ok", undefined]]);
});

test("over a virtual interface no policy takes the packet, so its match does not spare it", () => {
  const exempt = "-A POSTROUTING -m policy --dir out --pol ipsec -j ACCEPT";
  const all = "-A POSTROUTING -s 10.1.0.0/24 -j MASQUERADE";
  assert.deepEqual(translated({ device: "vti42", byPolicy: false }, exempt, all), [["failure", remedy]]);
});

test("masquerading of a part, or by an interface that is not known, is a warning", () => {
  assert.deepEqual(translated({}, "-A POSTROUTING -s 10.1.0.128/25 -j MASQUERADE"), [["warning", remedy]]);
  assert.deepEqual(translated({ device: undefined }, masquerade), [["warning", remedy]]);
});

test("a host that drops what it forwards, as Docker leaves it, is a warning for each direction", () => {
  const results = checkForwarding(filter([], { forward: "DROP" }), [traffic]);
  assert.deepEqual(
    results.map(({ verdict, hint }) => [verdict, hint]),
    [
      ["warning", "iptables-nft -I FORWARD -s 10.1.0.0/24 -d 10.2.0.0/24 -j ACCEPT"],
      ["warning", "iptables-nft -I FORWARD -s 10.2.0.0/24 -d 10.1.0.0/24 -j ACCEPT"],
    ],
  );
  assert.equal(checkForwarding(filter([]), [traffic])[0]?.verdict, "ok");
});

test("what is known of a packet only makes its fate surer: whatever is certain without stays so", () => {
  const rule = fc
    .record({
      source: fc.constantFrom("", "-s 192.0.2.2/32 ", "! -s 192.0.2.0/24 ", "-s 10.0.0.0/8 "),
      input: fc.constantFrom("", "-i eth0 ", "! -i eth0 "),
      port: fc.constantFrom("", "-p udp -m udp --dport 500 ", "-p esp ", "-m mark --mark 0x1 "),
      target: fc.constantFrom("ACCEPT", "DROP", "RETURN", "OURS", "LOG"),
      chain: fc.constantFrom("INPUT", "OURS"),
    })
    .map(({ source, input, port, target, chain }) =>
      chain === "OURS" && target === "OURS"
        ? "-A OURS -j RETURN"
        : `-A ${chain} ${source}${input}${port}-j ${target}`,
    );
  fc.assert(
    fc.property(fc.array(rule, { maxLength: 8 }), fc.constantFrom("ACCEPT", "DROP"), (rules, input) => {
      const ruleset = filter(rules, { input });
      const known = {
        family: "ipv4",
        protocol: "udp",
        source: network("192.0.2.2"),
        sourcePort: 500,
        destinationPort: 500,
        state: "new",
        input: "eth0",
      } as const;
      const { source, input: device, ...vague } = known;
      const sharp = fateOf(ruleset, ["input"], ["filter"], known);
      const blurred = fateOf(ruleset, ["input"], ["filter"], vague);
      if (!blurred.passes) assert.equal(sharp.passes, false);
      if (blurred.obstacles.length === 0) assert.equal(sharp.obstacles.length, 0);
    }),
  );
});
