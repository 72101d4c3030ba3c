import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createFrameReader, encodeFrame } from "../../../src/vici/frame.ts";

const contents = [Buffer.from("first"), Buffer.alloc(0), Buffer.from("x"), Buffer.alloc(300, 7)];
const bytes = Buffer.concat(contents.map(encodeFrame));

test("a frame is its length in network order and its content", () => {
  assert.deepEqual(encodeFrame(Buffer.from("ab")), Buffer.from([0, 0, 0, 2, 0x61, 0x62]));
});

test("frames are read the same wherever the stream is split in two", () => {
  for (let split = 0; split <= bytes.length; split += 1) {
    assert.deepEqual(
      readAll([bytes.subarray(0, split), bytes.subarray(split)]),
      contents,
      `split at ${split}`,
    );
  }
});

test("frames are read the same byte by byte", () => {
  assert.deepEqual(readAll(Array.from(bytes, (byte) => Buffer.from([byte]))), contents);
});

test("any frames are read the same in any chunks", () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 50 })),
      fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }),
      (frames, sizes) => {
        const stream = Buffer.concat(frames.map((frame) => encodeFrame(Buffer.from(frame))));
        const chunks: Buffer[] = [];
        for (let offset = 0, turn = 0; offset < stream.length; turn += 1) {
          const size = sizes[turn % sizes.length] ?? 1;
          chunks.push(stream.subarray(offset, offset + size));
          offset += size;
        }
        assert.deepEqual(
          readAll(chunks),
          frames.map((frame) => Buffer.from(frame)),
        );
      },
    ),
  );
});

test("a frame is given as soon as its last byte is there", () => {
  const read = createFrameReader();
  const whole = encodeFrame(Buffer.from("abc"));
  assert.deepEqual([...read(whole.subarray(0, 6))], []);
  assert.deepEqual([...read(whole.subarray(6))], [{ ok: true, value: Buffer.from("abc") }]);
});

test("a frame of 512 KiB is read", () => {
  const content = Buffer.alloc(512 * 1024, 1);
  assert.deepEqual(readAll([encodeFrame(content)]), [content]);
});

test("a larger frame is refused at its header, after the frames before it, and ends the reading", () => {
  const read = createFrameReader();
  const stream = Buffer.concat([
    encodeFrame(Buffer.from("good")),
    Buffer.from([0, 8, 0, 1]),
    Buffer.alloc(64),
  ]);
  assert.deepEqual(
    [...read(stream)],
    [
      { ok: true, value: Buffer.from("good") },
      { ok: false, problem: { message: "vici frame of 524289 bytes is larger than 524288 bytes" } },
    ],
  );
  assert.deepEqual([...read(encodeFrame(Buffer.from("more")))], []);
});

function readAll(chunks: readonly Buffer[]): Buffer[] {
  const read = createFrameReader();
  return chunks.flatMap((chunk) =>
    [...read(chunk)].map((frame) => {
      assert.ok(frame.ok);
      return frame.value;
    }),
  );
}
