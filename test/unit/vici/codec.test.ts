import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decodeMessage, encodeMessage } from "../../../src/vici/codec.ts";
import type { Message, RequestMessage } from "../../../src/vici/message.ts";
import { ViciError } from "../../../src/vici/vici-error.ts";

/** The encoding example of strongSwan's src/libcharon/plugins/vici/README.md, byte by byte. */
const documented = Buffer.concat([
  Buffer.from([3, 4]),
  Buffer.from("key1"),
  Buffer.from([0, 6]),
  Buffer.from("value1"),
  Buffer.from([1, 8]),
  Buffer.from("section1"),
  Buffer.from([1, 11]),
  Buffer.from("sub-section"),
  Buffer.from([3, 4]),
  Buffer.from("key2"),
  Buffer.from([0, 6]),
  Buffer.from("value2"),
  Buffer.from([2]),
  Buffer.from([4, 5]),
  Buffer.from("list1"),
  Buffer.from([5, 0, 5]),
  Buffer.from("item1"),
  Buffer.from([5, 0, 5]),
  Buffer.from("item2"),
  Buffer.from([6]),
  Buffer.from([2]),
]);

const documentedMessage = {
  key1: "value1",
  section1: { "sub-section": { key2: "value2" }, list1: ["item1", "item2"] },
};

const section = (...inner: (Buffer | number[])[]): Buffer =>
  Buffer.concat([Buffer.from([1, 1, 0x73]), ...inner.map((part) => Buffer.from(part)), Buffer.from([2])]);

const nested = (depth: number): Buffer =>
  Buffer.concat([...Array(depth).fill(Buffer.from([1, 0])), Buffer.alloc(depth, 2)]);

const names = fc.oneof(
  fc.string({ unit: "grapheme-ascii", maxLength: 20 }),
  fc.constantFrom("__proto__", "constructor", "toString", "1", ""),
);
const texts = fc.string({ unit: "grapheme", maxLength: 40 });
const { message: messages } = fc.letrec<{ message: RequestMessage; element: RequestMessage[string] }>(
  (tie) => ({
    message: fc.dictionary(names, tie("element"), { maxKeys: 6, noNullPrototype: false }),
    element: fc.oneof({ maxDepth: 4 }, texts, fc.array(texts, { maxLength: 5 }), tie("message")),
  }),
);

test("the encoding example of strongSwan's README encodes to its bytes", () => {
  assert.deepEqual(encodeMessage(documentedMessage), documented);
});

test("the encoding example of strongSwan's README decodes to its message", () => {
  assert.deepEqual(plain(decoded(documented)), documentedMessage);
});

test("any message survives encoding and decoding", () => {
  fc.assert(
    fc.property(messages, (message) => {
      assert.deepEqual(plain(decoded(encodeMessage(message))), plain(message));
    }),
  );
});

test("any bytes survive as a value and as a list item when they are decoded as latin1", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.uint8Array({ maxLength: 300 }), (value, item) => {
      const message = decodeMessage(encodeMessage({ data: value, list: [item] }), "latin1");
      assert.ok(message.ok);
      assert.deepEqual(Buffer.from(String(message.value.data), "latin1"), Buffer.from(value));
      assert.deepEqual(Buffer.from(String(message.value.list), "latin1"), Buffer.from(item));
    }),
  );
});

test("a key named __proto__ is a key like any other", () => {
  const message = decoded(encodeMessage(JSON.parse('{"__proto__":{"polluted":"yes"},"constructor":"x"}')));
  assert.deepEqual(Object.keys(message), ["__proto__", "constructor"]);
  assert.equal(message.polluted, undefined);
  assert.equal(message.toString, undefined);
  assert.equal(Reflect.get({}, "polluted"), undefined);
});

test("of a repeated key the last one counts, whatever its kind", () => {
  const twice = Buffer.concat([section(), encodeMessage({ s: ["a"] }), encodeMessage({ s: "last" })]);
  assert.deepEqual(plain(decoded(twice)), { s: "last" });
});

test("an empty message, an empty section and an empty list are messages", () => {
  assert.deepEqual(plain(decoded(Buffer.alloc(0))), {});
  assert.deepEqual(plain(decoded(encodeMessage({ section: {}, list: [], value: "" }))), {
    section: {},
    list: [],
    value: "",
  });
});

test("a message cut off anywhere but between two elements of its root is refused", () => {
  const whole = new Set([0, 14, documented.length]);
  for (let length = 0; length <= documented.length; length += 1) {
    assert.equal(decodeMessage(documented.subarray(0, length)).ok, whole.has(length), `${length} bytes`);
  }
});

for (const [fault, bytes, message] of [
  ["an unknown element", Buffer.from([9]), "unknown vici element 9 at byte 0"],
  ["element 0", section([0]), "unknown vici element 0 at byte 3"],
  ["the end of no section", Buffer.from([2]), "vici section ends that never started at byte 0"],
  ["one end of a section too many", section([2]), "vici section ends that never started at byte 4"],
  ["a section that stays open", Buffer.from([1, 0]), "vici message ends inside a section"],
  ["a list that stays open", Buffer.from([4, 0]), "vici message ends inside a list"],
  ["the end of no list", Buffer.from([6]), "vici element 6 outside a list at byte 0"],
  ["an item outside a list", Buffer.from([5, 0, 0]), "vici element 5 outside a list at byte 0"],
  ["a list in a list", Buffer.from([4, 0, 4, 0, 6, 6]), "vici element 4 inside a list at byte 2"],
  ["a section in a list", Buffer.from([4, 0, 1, 0, 2, 6]), "vici element 1 inside a list at byte 2"],
  ["a key in a list", Buffer.from([4, 0, 3, 0, 0, 0, 6]), "vici element 3 inside a list at byte 2"],
  ["a section's end in a list", section([4, 0, 2, 6]), "vici element 2 inside a list at byte 5"],
  ["no name", Buffer.from([1]), "vici element is cut off at byte 0"],
  ["a name that is too short", Buffer.from([3, 9, 0x61]), "vici element is cut off at byte 0"],
  ["half a length", Buffer.from([3, 0, 0]), "vici element is cut off at byte 0"],
  ["a value that is too short", Buffer.from([3, 0, 255, 255, 0]), "vici element is cut off at byte 0"],
  ["an item that is too short", Buffer.from([4, 0, 5, 0, 2, 0]), "vici element is cut off at byte 2"],
  ["65 nested sections", nested(65), "vici sections nested deeper than 64 at byte 128"],
  ["sections without end", nested(174_000), "vici sections nested deeper than 64 at byte 128"],
] as const) {
  test(`a message with ${fault} is refused with a reason`, () => {
    assert.deepEqual(decodeMessage(bytes), { ok: false, problem: { message } });
  });
}

test("sections nested 64 deep are read and written", () => {
  const message = decoded(nested(64));
  assert.deepEqual(encodeMessage(message), nested(64));
});

test("whatever the bytes, decoding gives a message or a reason", () => {
  const element = fc.oneof(
    fc.constantFrom([2], [6], [1, 0], [4, 0], [3, 1, 0x61, 0, 1, 0x62], [5, 0, 0]),
    fc.array(fc.nat(255), { maxLength: 6 }),
  );
  fc.assert(
    fc.property(fc.array(element, { maxLength: 40 }), (parts) => {
      const result = decodeMessage(Buffer.from(parts.flat()));
      assert.ok(
        result.ok ||
          result.problem.message.startsWith("vici ") ||
          result.problem.message.startsWith("unknown "),
      );
    }),
    { numRuns: 2_000 },
  );
});

for (const [fault, message] of [
  ["a name of 256 characters", { ["n".repeat(256)]: "" }],
  ["a name beyond ASCII", { zürich: "" }],
  ["a name with a line break", { "a\nb": {} }],
  ["a value of 64 KiB", { data: "x".repeat(65_536) }],
  ["raw bytes of 64 KiB", { data: new Uint8Array(65_536) }],
  ["a list item of 64 KiB", { list: ["x".repeat(65_536)] }],
  ["a value of 64 KiB only as UTF-8", { data: "ü".repeat(32_768) }],
  ["more than 512 KiB in all", { list: Array(9).fill("x".repeat(65_000)) }],
  ["65 nested sections", nestedMessage(65)],
] as [string, RequestMessage][]) {
  test(`a message with ${fault} is not encoded`, () => {
    assert.throws(() => encodeMessage(message), isUnencodable);
  });
}

test("a message that contains itself is not encoded", () => {
  const message: { [name: string]: RequestMessage } = {};
  message.self = message;
  assert.throws(() => encodeMessage(message), isUnencodable);
});

test("the largest name and value are encoded", () => {
  const message = { ["n".repeat(255)]: "x".repeat(65_535) };
  assert.deepEqual(plain(decoded(encodeMessage(message))), message);
});

test("a value that is too long is not repeated in the error", () => {
  assert.throws(
    () => encodeMessage({ data: "canary".repeat(20_000) }),
    (error: Error) => !`${error.message}${error.stack}`.includes("canary"),
  );
});

test("a frame full of the smallest elements is read and written in less than two seconds", () => {
  const list = Array<string>(174_000).fill("");
  const started = performance.now();
  assert.equal(decoded(encodeMessage({ list })).list?.length, list.length);
  const keys = Object.fromEntries(Array.from({ length: 40_000 }, (_, index) => [`k${index}`, "v"]));
  assert.equal(Object.keys(decoded(encodeMessage(keys))).length, 40_000);
  assert.ok(performance.now() - started < 2_000);
});

function decoded(bytes: Buffer): Message {
  const result = decodeMessage(bytes);
  assert.ok(result.ok, result.ok ? "" : result.problem.message);
  return result.value;
}

/** With an ordinary prototype, as deepEqual compares it, and own keys only. */
function plain(message: RequestMessage): unknown {
  return JSON.parse(JSON.stringify(message));
}

function nestedMessage(depth: number): RequestMessage {
  return depth === 0 ? {} : { s: nestedMessage(depth - 1) };
}

function isUnencodable(error: unknown): boolean {
  return error instanceof ViciError && error.kind === "unencodable";
}
