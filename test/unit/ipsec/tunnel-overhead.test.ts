import assert from "node:assert/strict";
import { test } from "node:test";
import type { Proposal } from "../../../src/ipsec/proposal.ts";
import { parseProposals } from "../../../src/ipsec/proposal.ts";
import { largestInnerPacket } from "../../../src/ipsec/tunnel-overhead.ts";

const proposals = (text: string): readonly Proposal[] => {
  const parsed = parseProposals(text, "esp");
  assert.ok(parsed.ok, text);
  return parsed.value;
};

const mtu = (text: string, outer: "ipv4" | "ipv6", inUdp: boolean): number =>
  largestInnerPacket(1500, proposals(text), { outer, inUdp });

/** As AWS publishes them for its site-to-site VPN; without and with ESP in UDP. */
const published: readonly (readonly [string, number, number])[] = [
  ["aes128gcm16-ecp256", 1446, 1438],
  ["aes256gcm16-ecp384", 1446, 1438],
  ["aes128-sha1-modp3072", 1438, 1422],
  ["aes256-sha256-modp3072", 1438, 1422],
  ["aes256-sha384-modp3072", 1422, 1422],
  ["aes256-sha512-modp3072", 1422, 1406],
];

test("over IPv4 the largest inner packets are those that AWS publishes", () => {
  for (const [text, plain, inUdp] of published) {
    assert.equal(mtu(text, "ipv4", false), plain, text);
    assert.equal(mtu(text, "ipv4", true), inUdp, `${text} in UDP`);
  }
});

test("an outer IPv6 header takes twenty bytes more, rounded to the cipher's block", () => {
  assert.equal(mtu("aes256gcm16-ecp384", "ipv6", false), 1426);
  assert.equal(mtu("aes256gcm16-ecp384", "ipv6", true), 1418);
  assert.equal(mtu("aes256-sha256-modp3072", "ipv6", false), 1406);
  assert.equal(mtu("aes256-sha256-modp3072", "ipv6", true), 1406);
});

test("with several proposals, or several ciphers in one, the worst decides", () => {
  assert.equal(mtu("aes256gcm16-ecp384,aes256-sha512-modp3072", "ipv4", true), 1406);
  assert.equal(mtu("aes256-sha256-sha512-modp3072", "ipv4", true), 1406);
  assert.equal(mtu("aes256gcm16-aes128gcm8-ecp384", "ipv4", false), 1446);
});

test("the ESP packet of the largest fits the path, and that of one byte more does not", () => {
  for (const text of published.map(([first]) => first)) {
    const [proposal] = proposals(text);
    const ciphers = proposal?.algorithms.filter((one) => "ivBytes" in one) ?? [];
    const integrity = proposal?.algorithms.find((one) => one.transform === "integrity");
    const [cipher] = ciphers;
    assert.ok(cipher && "ivBytes" in cipher && "blockBytes" in cipher);
    const icv =
      cipher.transform === "aead"
        ? cipher.icvBytes
        : integrity && "icvBytes" in integrity
          ? integrity.icvBytes
          : 0;
    const block = Math.max(4, cipher.blockBytes);
    for (let path = 1280; path <= 1500; path += 1) {
      for (const outer of ["ipv4", "ipv6"] as const) {
        for (const inUdp of [false, true]) {
          const inner = largestInnerPacket(path, proposals(text), { outer, inUdp });
          const size = (packet: number): number =>
            (outer === "ipv4" ? 20 : 40) +
            (inUdp ? 8 : 0) +
            8 +
            cipher.ivBytes +
            Math.ceil((packet + 2) / block) * block +
            icv;
          assert.ok(size(inner) <= path, `${text} ${path}`);
          assert.ok(size(inner + 1) > path, `${text} ${path}`);
        }
      }
    }
  }
});
