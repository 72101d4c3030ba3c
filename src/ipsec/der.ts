/** One element of DER (X.690): its tag, what is in it, and all of its bytes. */
export type DerElement = {
  readonly tag: number;
  readonly content: Uint8Array;
  readonly bytes: Uint8Array;
};

/** The elements that stand one after the other. Throws a RangeError where bytes are no DER. */
export const readDer = (bytes: Uint8Array): readonly DerElement[] => {
  const elements: DerElement[] = [];
  for (let start = 0; start < bytes.length; ) {
    const tag = byteAt(bytes, start);
    const { length, from } = readLength(bytes, start + 1);
    const end = from + length;
    if (end > bytes.length) throw new RangeError("DER ends early");
    elements.push({ tag, content: bytes.subarray(from, end), bytes: bytes.subarray(start, end) });
    start = end;
  }
  return elements;
};

/** An element of these contents. */
export const derOf = (tag: number, ...contents: readonly Uint8Array[]): Uint8Array => {
  const length = contents.reduce((sum, { length: own }) => sum + own, 0);
  return Buffer.concat([Uint8Array.of(tag, ...lengthBytes(length)), ...contents]);
};

/** An object identifier as its content: `2.5.4.3` is 55 04 03. */
export const objectIdentifier = (dotted: string): Uint8Array => {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  return Uint8Array.from([first * 40 + second, ...rest].flatMap(base128));
};

const readLength = (bytes: Uint8Array, at: number): { readonly length: number; readonly from: number } => {
  const first = byteAt(bytes, at);
  if (first < 0x80) return { length: first, from: at + 1 };
  const count = first & 0x7f;
  if (count === 0 || count > 4) throw new RangeError("DER has a length that it cannot have");
  let length = 0;
  for (let index = 1; index <= count; index += 1) length = length * 256 + byteAt(bytes, at + index);
  return { length, from: at + 1 + count };
};

const byteAt = (bytes: Uint8Array, at: number): number => {
  const byte = bytes[at];
  if (byte === undefined) throw new RangeError("DER ends early");
  return byte;
};

const lengthBytes = (length: number): readonly number[] => {
  if (length < 0x80) return [length];
  const digits = base256(length);
  return [0x80 | digits.length, ...digits];
};

const base256 = (value: number): readonly number[] =>
  value < 256 ? [value] : [...base256(Math.floor(value / 256)), value % 256];

/** Seven bits a byte, all but the last with the highest bit set. */
const base128 = (value: number): readonly number[] =>
  value < 128 ? [value] : [...base128(Math.floor(value / 128)).map((digit) => digit | 0x80), value % 128];
