import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { buildGateway } from "../../../src/gateway/from-settings.ts";
import type { PacketRule } from "../../../src/gateway/packet-rule.ts";
import { parseSettings } from "../../../src/settings/parse-settings.ts";
import { environmentOf, minimal } from "../../support/environment-of.ts";
import { repository } from "../../support/repository.ts";

type Changes = Readonly<Record<string, string>>;

const rulesOf = (changes: Changes): readonly PacketRule[] => {
  const { settings, errors } = parseSettings(environmentOf({ ...minimal, ...changes }), "gateway");
  assert.deepEqual(errors, []);
  return buildGateway(settings ?? assert.fail()).packetRules;
};

const segmentsOf = (changes: Changes) => rulesOf(changes)[0]?.segments ?? assert.fail();

/** As AWS publishes them for its site-to-site VPN: without and with ESP in UDP, over IPv4; over IPv6 20 less. */
const published: readonly (readonly [string, number, number])[] = [
  ["aes128gcm16-ecp256", 1406, 1398],
  ["aes256gcm16-ecp384", 1406, 1398],
  ["aes128-sha1-modp3072", 1398, 1382],
  ["aes256-sha256-modp3072", 1398, 1382],
  ["aes256-sha384-modp3072", 1382, 1382],
  ["aes256-sha512-modp3072", 1382, 1366],
];

test("the size of TCP segments is by default the one that AWS publishes for the proposal and the encapsulation", () => {
  for (const [proposal, plain, inUdp] of published) {
    for (const [forceUdp, ipv4] of [
      ["no", plain],
      ["yes", inUdp],
    ] as const) {
      const { kernel, isDemanded } = segmentsOf({ IPSEC_ESPCIPHER: proposal, IPSEC_FORCEUDP: forceUdp });
      assert.deepEqual(kernel, { ipv4, ipv6: ipv4 - 20 }, `${proposal} ${forceUdp}`);
      assert.equal(isDemanded, false);
    }
  }
});

test("the table of the page has these figures, of each cipher and integrity that it names", () => {
  const page = readFileSync(`${repository}/docs/mtu-and-nat.md`, "utf8");
  const rows = [...page.matchAll(/^\| (AES-.*?) \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|$/gm)].map(
    ([, what, ...figures]) => [what, ...figures.map(Number)],
  );
  const row = (what: string, plain: number, inUdp: number) => [what, plain + 40, plain, inUdp + 40, inUdp];
  const figures = (proposal: string): readonly [number, number] => {
    const [, plain = 0, inUdp = 0] = published.find(([name]) => name === proposal) ?? [];
    return [plain, inUdp];
  };
  assert.deepEqual(rows, [
    row("AES-GCM with 16 bytes of ICV", ...figures("aes256gcm16-ecp384")),
    row("AES-CBC, SHA-1 or SHA-256", ...figures("aes256-sha256-modp3072")),
    row("AES-CBC, SHA-384", ...figures("aes256-sha384-modp3072")),
    row("AES-CBC, SHA-512", ...figures("aes256-sha512-modp3072")),
  ]);
});

test("in user space ESP is always in UDP, and no segment is larger than strongSwan's device takes", () => {
  const userspace = (changes: Changes) => segmentsOf({ IPSEC_FORCEUDP: "no", ...changes }).userspace;
  assert.deepEqual(userspace({ IPSEC_ESPCIPHER: "aes256gcm16-ecp384" }), { ipv4: 1360, ipv6: 1340 });
  const ends = { IPSEC_LOCALIP: "2001:db8::1", IPSEC_REMOTEIP: "2001:db8::2" };
  assert.deepEqual(userspace({ ...ends, IPSEC_ESPCIPHER: "aes256-sha384-modp3072" }), {
    ipv4: 1350,
    ipv6: 1330,
  });
});

test("a virtual interface's own MTU decides, and one that is left to the kernel does not", () => {
  const vti = { IPSEC_VTI_KEY: "42", IPSEC_ESPCIPHER: "aes256gcm16-ecp384", IPSEC_DATAPLANE: "kernel" };
  assert.equal(segmentsOf({ ...vti, IPSEC_MTU: "1300" }).kernel.ipv4, 1260);
  assert.equal(segmentsOf({ ...vti, IPSEC_MTU: "8900" }).kernel.ipv4, 8860);
  assert.equal(segmentsOf({ ...vti, IPSEC_MTU: "off" }).kernel.ipv4, 1398);
  assert.equal(segmentsOf({ ...vti }).kernel.ipv4, 1398);
  assert.equal(segmentsOf({ IPSEC_MTU: "1300", IPSEC_ESPCIPHER: "aes256gcm16-ecp384" }).kernel.ipv4, 1398);
  assert.equal(rulesOf(vti)[0]?.interfaceName, "vti42");
});

test("a size that is named counts wherever ESP runs, and the same packet over IPv6 holds 20 bytes less", () => {
  const sizes = { ipv4: 1360, ipv6: 1340 };
  assert.deepEqual(segmentsOf({ IPSEC_MSS: "1360", IPSEC_VTI_KEY: "42", IPSEC_MTU: "1300" }), {
    kernel: sizes,
    userspace: sizes,
    isDemanded: true,
  });
});

test("with IPSEC_MSS=off there is a rule only for who asks for an exemption", () => {
  assert.deepEqual(rulesOf({ IPSEC_MSS: "off" }), []);
  const [rule, ...others] = rulesOf({ IPSEC_MSS: "off", IPSEC_NAT_EXEMPT: "yes" });
  assert.deepEqual(others, []);
  assert.equal(rule?.segments, undefined);
  assert.equal(rule?.keepsSource, true);
});

test("in manual configuration there is a rule where networks or an interface tell the packets", () => {
  const manual = { IPSEC_USE_MANUAL_CONFIG: "yes", IPSEC_LOCALNET: "", IPSEC_REMOTENET: "" };
  assert.deepEqual(rulesOf(manual), []);
  assert.deepEqual(rulesOf({ ...manual, IPSEC_NAT_EXEMPT: "yes", IPSEC_LOCALNET: "10.1.0.0/16" }), []);
  const [rule] = rulesOf({ ...manual, IPSEC_NAT_EXEMPT: "yes", IPSEC_VTI_KEY: "42" });
  assert.equal(rule?.interfaceName, "vti42");
  assert.equal(rule?.keepsSource, false);
  assert.equal(rulesOf({ IPSEC_USE_MANUAL_CONFIG: "yes", IPSEC_NAT_EXEMPT: "yes" })[0]?.keepsSource, true);
});
