import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { type Algorithm, algorithms } from "../../../src/ipsec/algorithms.ts";
import { weaknessOf } from "../../../src/ipsec/proposal-weakness.ts";

const rows = readFileSync(join(import.meta.dirname, "proposal-keywords.tsv"), "utf8")
  .trimEnd()
  .split("\n")
  .slice(1)
  .map((line) => {
    const [keyword = "", type = "", keyBits = "", notes = ""] = line.split("\t");
    return { keyword, type, keyBits: Number(keyBits), notes: notes.split("; ") };
  });
const keywordRows = rows.filter(({ type }) => type !== "other");

const known = (keyword: string): Algorithm => {
  const algorithm = algorithms.get(keyword);
  assert.ok(algorithm, `${keyword} is missing`);
  return algorithm;
};

test("the table has exactly the keywords of strongSwan 5.9.8 and 6.0.6", () => {
  assert.equal(rows.length, 161);
  assert.deepEqual([...algorithms.keys()].toSorted(), keywordRows.map(({ keyword }) => keyword).toSorted());
});

for (const { keyword, type, keyBits, notes } of keywordRows) {
  test(`the row of ${keyword} agrees with strongSwan's`, () => {
    const algorithm = known(keyword);
    assert.equal(algorithm.keyword, keyword);
    assert.equal(algorithm.transform, type);
    assert.equal(algorithm.keyBits, keyBits);
    assert.equal(algorithm.id, notes[0]);
    assert.equal(algorithm.since, notes.includes("since=6.0") ? "6.0" : undefined);
    assert.equal(
      algorithm.removedIn,
      notes.some((note) => note.startsWith("removed in 6.0")) ? "6.0" : undefined,
    );
    const esp = notes.find((note) => note.startsWith("esp="));
    assert.equal("linuxEsp" in algorithm ? algorithm.linuxEsp : undefined, esp && esp === "esp=kernel");
    const alias = notes.find((note) => note.startsWith("alias of "))?.slice("alias of ".length);
    if (alias !== undefined) assert.deepEqual(algorithm, { ...known(alias), keyword });
    const isWeak = notes.some((note) => /^(?:(?:weak|broken)(?!-)|no encryption|test only)/.test(note));
    assert.equal(weaknessOf(algorithm) !== undefined, isWeak);
  });
}

test("an integrity algorithm implies the PRF of its own hash, and only the 96-bit truncation of SHA-256 none", () => {
  for (const algorithm of algorithms.values()) {
    if (algorithm.transform !== "integrity") continue;
    const stem = algorithm.keyword.replace("sha2_", "sha").replace(/_\d+$/, "").replace(/^sha$/, "sha1");
    const isUnmapped = algorithm.id === "AUTH_HMAC_SHA2_256_96";
    assert.equal(algorithm.prf, isUnmapped ? undefined : `prf${stem}`);
    if (algorithm.prf !== undefined) assert.equal(known(algorithm.prf).transform, "prf");
  }
});

test("the length of a key is negotiated where it may vary, and for peers that expect it", () => {
  for (const [keyword, isNegotiated] of [
    ["aes256", true],
    ["aes256gcm16", true],
    ["cast128", true],
    ["3des", false],
    ["des", false],
    ["null", false],
    ["chacha20poly1305", false],
    ["chacha20poly1305compat", true],
  ] as const) {
    const algorithm = known(keyword);
    assert.equal("hasKeyLength" in algorithm && algorithm.hasKeyLength, isNegotiated, keyword);
  }
});

test("IANA's group numbers lead to the key exchanges that other vendors know by them", () => {
  const groups = [...algorithms.values()].flatMap((one) =>
    "group" in one ? [[one.group, one.id] as const] : [],
  );
  const numbers = [...new Set(groups.map(([group]) => group))].toSorted(
    (one, other) => Number(one) - Number(other),
  );
  assert.deepEqual(numbers, [1, 2, 5, ...Array.from({ length: 19 }, (_, index) => index + 14)]);
  assert.equal(new Map(groups).get(14), "MODP_2048_BIT");
  assert.equal(new Map(groups).get(19), "ECP_256_BIT");
  assert.equal(new Map(groups).get(31), "CURVE_25519");
});

/** ESP in tunnel mode over IPv4: RFC 4303 §2; RFC 3948 adds 8 bytes of UDP. */
const innerMtu = (cipher: Algorithm, hash: Algorithm | undefined, udp: boolean): number => {
  assert.ok("ivBytes" in cipher);
  const icvBytes =
    "icvBytes" in cipher ? cipher.icvBytes : hash !== undefined && "icvBytes" in hash && hash.icvBytes;
  const room = 1500 - 20 - (udp ? 8 : 0) - 8 - cipher.ivBytes - Number(icvBytes);
  const alignment = Math.max(4, cipher.blockBytes);
  return room - (room % alignment) - 2;
};

test("IV, block and ICV sizes give the packet sizes that AWS publishes for its VPN on a path of 1500 bytes", () => {
  for (const [cipher, hash, plain, overUdp] of [
    ["aes256gcm16", undefined, 1446, 1438],
    ["aes128", "sha1", 1438, 1422],
    ["aes256", "sha256", 1438, 1422],
    ["aes256", "sha384", 1422, 1422],
    ["aes256", "sha512", 1422, 1406],
  ] as const) {
    const sizes = [false, true].map((udp) => innerMtu(known(cipher), hash && known(hash), udp));
    assert.deepEqual(sizes, [plain, overUdp], `${cipher} ${hash}`);
  }
});
