import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decodePacket, encodePacket, type Packet } from "../../../src/vici/packet.ts";
import { ViciError } from "../../../src/vici/vici-error.ts";

const body = Buffer.from([3, 1, 0x61, 0, 1, 0x62]);

for (const [bytes, packet] of [
  [[0, 7, ...Buffer.from("version")], { type: "command-request", name: "version", body: Buffer.alloc(0) }],
  [[1, ...body], { type: "command-response", body }],
  [[2], { type: "command-unknown", body: Buffer.alloc(0) }],
  [[3, 3, ...Buffer.from("log")], { type: "event-register", name: "log", body: Buffer.alloc(0) }],
  [[4, 3, ...Buffer.from("log")], { type: "event-unregister", name: "log", body: Buffer.alloc(0) }],
  [[5], { type: "event-confirm", body: Buffer.alloc(0) }],
  [[6], { type: "event-unknown", body: Buffer.alloc(0) }],
  [[7, 3, ...Buffer.from("log"), ...body], { type: "event", name: "log", body }],
] as [number[], Packet][]) {
  test(`a ${packet.type} packet has the bytes that strongSwan's README gives`, () => {
    assert.deepEqual(encodePacket(packet), Buffer.from(bytes));
    assert.deepEqual(decodePacket(Buffer.from(bytes)), { ok: true, value: packet });
  });
}

for (const [fault, bytes, message] of [
  ["nothing in it", [], "empty vici packet"],
  ["an unknown type", [8], "unknown vici packet type 8"],
  ["a name without a length", [7], "name of a vici event packet is cut off"],
  ["a name that is cut off", [7, 4, 0x6c, 0x6f, 0x67], "name of a vici event packet is cut off"],
] as const) {
  test(`a packet with ${fault} is refused with a reason`, () => {
    assert.deepEqual(decodePacket(Buffer.from(bytes)), { ok: false, problem: { message } });
  });
}

test("whatever the bytes, decoding gives a packet or a reason", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      assert.equal(typeof decodePacket(Buffer.from(bytes)).ok, "boolean");
    }),
  );
});

test("a packet of 512 KiB is encoded and a larger one is not", () => {
  const response = (bytes: number): Packet => ({ type: "command-response", body: Buffer.alloc(bytes) });
  assert.equal(encodePacket(response(512 * 1024 - 1)).length, 512 * 1024);
  assert.throws(
    () => encodePacket(response(512 * 1024)),
    (error) => error instanceof ViciError && error.kind === "unencodable",
  );
});
