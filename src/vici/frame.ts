import { invalid, type Result, valid } from "../failure.ts";
import { maximumFrameBytes } from "./writer.ts";

/** A frame as it travels: the length of its content in four bytes, network order, then the content. */
export const encodeFrame = (content: Buffer): Buffer => {
  const frame = Buffer.alloc(4 + content.length);
  frame.writeUInt32BE(content.length);
  frame.set(content, 4);
  return frame;
};

/**
 * Takes the bytes of a socket as they come and gives the content of each frame that they complete. A frame that announces
 * more than 512 KiB is a problem, and the last thing given: where the next one starts is not known.
 */
export type FrameReader = (chunk: Buffer) => Generator<Result<Buffer>, void, undefined>;

export const createFrameReader = (): FrameReader => {
  const header = Buffer.alloc(4);
  let target = header;
  let filled = 0;
  let broken = false;
  return function* read(chunk) {
    let offset = 0;
    while (offset < chunk.length && !broken) {
      const copied = chunk.copy(target, filled, offset);
      offset += copied;
      filled += copied;
      if (filled < target.length) {
        return;
      }
      const completed = target;
      const length = completed === header ? header.readUInt32BE() : 0;
      if (length > maximumFrameBytes) {
        broken = true;
        yield invalid(`vici frame of ${length} bytes is larger than ${maximumFrameBytes} bytes`);
        return;
      }
      target = length > 0 ? Buffer.alloc(length) : header;
      filled = 0;
      if (completed !== header) {
        yield valid(completed);
      } else if (length === 0) {
        yield valid(Buffer.alloc(0));
      }
    }
  };
};
