import { quoted } from "../failure.ts";
import type { RequestValue } from "./message.ts";
import { ViciError } from "./vici-error.ts";

/** Bytes that one frame may hold, its length field not counted: VICI_MESSAGE_SIZE_MAX in strongSwan's vici_socket.h. */
export const maximumFrameBytes = 512 * 1024;

/**
 * A buffer that grows as the parts of a packet are written to it. Every function throws `unencodable` for what the
 * protocol cannot carry.
 */
export type Writer = {
  readonly uint8: (value: number) => void;
  /** Its length in one byte, then the name. Printable ASCII only: charon drops any other (vici_stringify, vici_message.c). */
  readonly name: (name: string) => void;
  /** Its length in two bytes, network order, then the bytes; strings as UTF-8. */
  readonly value: (value: RequestValue) => void;
  readonly bytes: (bytes: Uint8Array) => void;
  /** Everything written so far. */
  readonly written: () => Buffer;
};

export const createWriter = (): Writer => {
  let buffer = Buffer.alloc(1024);
  let length = 0;
  const reserve = (bytes: number): number => {
    const start = length;
    length += bytes;
    if (length > maximumFrameBytes) {
      throw new ViciError("unencodable", `vici packet is larger than ${maximumFrameBytes} bytes`);
    }
    if (length > buffer.length) {
      const grown = Buffer.alloc(2 ** Math.ceil(Math.log2(length)));
      buffer.copy(grown, 0, 0, start);
      buffer = grown;
    }
    return start;
  };
  return {
    uint8: (value) => {
      const start = reserve(1);
      buffer.writeUInt8(value, start);
    },
    name: (name) => {
      if (!/^[ -~]{0,255}$/.test(name)) {
        throw new ViciError(
          "unencodable",
          `not a name of at most 255 printable ASCII characters: ${quoted(name)}`,
        );
      }
      const start = reserve(1 + name.length);
      buffer.writeUInt8(name.length, start);
      buffer.write(name, start + 1, "latin1");
    },
    value: (value) => {
      const size = typeof value === "string" ? Buffer.byteLength(value) : value.length;
      if (size > 0xffff) {
        // The value may be a secret: its size is all that is said of it.
        throw new ViciError("unencodable", `vici value of ${size} bytes is larger than 65535 bytes`);
      }
      const start = reserve(2 + size);
      buffer.writeUInt16BE(size, start);
      if (typeof value === "string") {
        buffer.write(value, start + 2);
      } else {
        buffer.set(value, start + 2);
      }
    },
    bytes: (bytes) => {
      const start = reserve(bytes.length);
      buffer.set(bytes, start);
    },
    written: () => buffer.subarray(0, length),
  };
};
