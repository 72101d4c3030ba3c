import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { nearest } from "../../src/nearest.ts";

const keywords = ["sha256", "sha384", "aes256", "modp3072", "x25519"];

test("a slip of the finger finds the word that was meant", () => {
  for (const [word, meant] of [
    ["sha26", "sha256"],
    ["sha2566", "sha256"],
    ["sha246", "sha256"],
    ["sha265", "sha256"],
    ["mopd3072", "modp3072"],
    ["modp3027", "modp3072"],
    ["IPSEC_LOCALNETS", "IPSEC_LOCALNET"],
    ["IPSEC_REMOTE_IP", "IPSEC_REMOTEIP"],
  ] as const) {
    assert.equal(
      nearest(word, [...keywords, "IPSEC_LOCALNET", "IPSEC_REMOTEIP", "IPSEC_LOCALIP"]),
      meant,
      word,
    );
  }
});

test("a transposition costs one edit, so that a short word survives it", () => {
  assert.equal(nearest("ase", ["aes"]), "aes");
});

test("a word that resembles none gets no suggestion", () => {
  for (const word of ["", "foo", "camellia", "IPSEC_PSK", "sha", "a".repeat(5000)]) {
    assert.equal(nearest(word, keywords), undefined, word.slice(0, 20));
  }
});

test("of words equally near the first is suggested, and a nearer one wins over it", () => {
  assert.equal(nearest("modp4076", ["modp4096", "modp4078"]), "modp4096");
  assert.equal(nearest("modp4076", ["modp4078", "modp4096"]), "modp4078");
  assert.equal(nearest("modp4076", ["modp3072", "modp4096"]), "modp4096");
});

test("a candidate is its own nearest, and one edit away from it is near enough", () => {
  const word = fc.string({ minLength: 4, maxLength: 30 });
  fc.assert(
    fc.property(
      word,
      fc.nat(),
      fc.constantFrom("delete", "insert", "replace", "swap"),
      (candidate, at, edit) => {
        assert.equal(nearest(candidate, [candidate]), candidate);
        const letters = candidate.split("");
        const index = at % letters.length;
        if (edit === "delete") letters.splice(index, 1);
        if (edit === "insert") letters.splice(index, 0, "é");
        if (edit === "replace") letters[index] = "é";
        if (edit === "swap") letters.splice(index, 2, ...letters.slice(index, index + 2).reverse());
        assert.equal(nearest(letters.join(""), [candidate]), candidate);
      },
    ),
  );
});

test("ten thousand hostile words take no noticeable time", () => {
  const candidates = Array.from({ length: 60 }, (_, index) => `IPSEC_${"X".repeat(index)}`);
  const started = performance.now();
  for (let count = 0; count < 200; count++) nearest(`IPSEC_${"Y".repeat(count)}`, candidates);
  for (let count = 0; count < 10_000; count++) nearest("Z".repeat(10_000), candidates);
  assert.ok(performance.now() - started < 1000);
});
