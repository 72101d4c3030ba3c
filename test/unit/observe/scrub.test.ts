import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createJsonScrubber, createScrubber } from "../../../src/observe/scrub.ts";
import { type Secret, secret } from "../../../src/secret.ts";

const secretOf = (text: string): Secret => secret(Buffer.from(text));

const scrubberFor = (...texts: readonly string[]) => {
  const secrets = texts.map(secretOf);
  return createScrubber(() => secrets);
};

test("a secret is masked in each of its forms", () => {
  const bytes = Buffer.from('päss"w\\ord>>?\n');
  const secrets = [secret(bytes)];
  const scrub = createScrubber(() => secrets);
  const text = bytes.toString();
  for (const form of [
    text,
    JSON.stringify(text).slice(1, -1),
    JSON.stringify(JSON.stringify(text)).slice(1, -1),
    bytes.toString("base64"),
    `0s${bytes.toString("base64")}`,
    bytes.toString("base64url"),
    bytes.toString("hex"),
    bytes.toString("hex").toUpperCase(),
  ]) {
    const scrubbed = scrub(`psk ${form}, and again ${form}.`);
    assert.doesNotMatch(scrubbed, /rd|w\\|[0-9a-f]{8}|[A-Za-z0-9]{8}/i, form);
    assert.match(scrubbed, /^psk .*\*\*\*.*, and again .*\*\*\*.*\.$/, form);
  }
});

test("a text without a secret is given back as it is", () => {
  const scrub = scrubberFor("correct horse battery");
  for (const text of ["", "x", "correct horse batter", "correct horse  battery"])
    assert.equal(scrub(text), text);
  assert.equal(createScrubber(() => [])("correct horse battery"), "correct horse battery");
});

test("secrets that overlap are masked as a whole", () => {
  const scrub = scrubberFor("abcdefgh", "efghijkl", "abcdef");
  assert.equal(scrub("xabcdefghijkly"), "x***y");
  assert.equal(scrub("abcdefghabcdefgh"), "******");
});

test("a secret under 6 bytes is masked in its long encoded forms only", () => {
  const scrub = scrubberFor("1234");
  assert.equal(scrub("port 1234, 31323334, MTIzNA=="), "port 1234, ***, ***");
  assert.equal(scrubberFor("vpn")("vpn dnBu 76706e"), "vpn dnBu 76706e");
});

test("new secrets count from the next text on", () => {
  let secrets = [secretOf("first secret")];
  const scrub = createScrubber(() => secrets);
  assert.equal(scrub("first secret, second secret"), "***, second secret");
  secrets = [secretOf("second secret")];
  assert.equal(scrub("first secret, second secret"), "first secret, ***");
});

test("no form of any secret of 6 bytes or more survives", () => {
  const secretBytes = fc.oneof(
    fc.uint8Array({ minLength: 6, maxLength: 40 }),
    fc.string({ unit: "grapheme", minLength: 6 }).map((text) => new Uint8Array(Buffer.from(text))),
  );
  fc.assert(
    fc.property(secretBytes, fc.string(), fc.string(), (bytes, before, after) => {
      const secrets = [secret(bytes)];
      const scrub = createScrubber(() => secrets);
      const buffer = Buffer.from(bytes);
      for (const form of [
        buffer.toString(),
        buffer.toString("base64").replace(/=+$/, ""),
        buffer.toString("hex"),
      ]) {
        if (form.length < 8) continue;
        assert.ok(!scrub(before + form + after).includes(form));
      }
    }),
  );
});

test("a line of JSON stays JSON and shows no secret, whatever the secret is made of", () => {
  const hostile = fc.oneof(
    fc.string({ minLength: 6 }),
    fc.string({ unit: "grapheme", minLength: 6 }),
    fc.constantFrom(
      "123456",
      '","a":"',
      '"level"',
      "nabcdef",
      "\\\\\\\\\\\\",
      "\n\n\n\n\n\n",
      "message",
      "000000",
      '{"a":1}',
      "null,n",
    ),
  );
  fc.assert(
    fc.property(hostile, fc.string(), fc.integer(), (text, other, number) => {
      fc.pre(Buffer.byteLength(text) >= 6 && text.length >= 6);
      const secrets = [secretOf(text)];
      const record = {
        level: "info",
        pid: 1234567,
        number,
        text: `${other}\nabcdef${text}`,
        nested: [{ [text]: text }],
      };
      const line = `${JSON.stringify(record)}\n`;
      const scrubbed = createJsonScrubber(() => secrets)(line);
      assert.ok(scrubbed.endsWith("\n"));
      const read = JSON.parse(scrubbed);
      assert.ok(!read.text?.endsWith(text), scrubbed);
      assert.ok(!JSON.stringify(read.nested ?? "").includes(JSON.stringify(text)), scrubbed);
    }),
    { numRuns: 1_000 },
  );
});

test("ten thousand secrets are found as surely as one", () => {
  const texts = Array.from({ length: 10_000 }, (_, index) => `secret number ${index} of many`);
  const scrub = scrubberFor(...texts);
  assert.equal(scrub("a secret number 7777 of many b"), "a *** b");
  assert.equal(scrub("a secret number 10000 of many b"), "a secret number 10000 of many b");
});
