import { invalid, type Result, valid } from "../failure.ts";
import type { Message, MessageElement, RequestElement, RequestMessage, RequestValue } from "./message.ts";
import { ViciError } from "./vici-error.ts";
import { createWriter, type Writer } from "./writer.ts";

/**
 * How values become strings. `utf8` is for text; bytes that are no UTF-8 become U+FFFD and are lost. `latin1` is for
 * messages with binary values (`data` of `list-cert`): each byte is one character, and `Buffer.from(value, "latin1")`
 * gives the bytes back. Names are UTF-8 either way.
 */
export type ValueEncoding = "utf8" | "latin1";

/**
 * The elements of a message, after strongSwan's src/libcharon/plugins/vici/README.md, "Message format".
 * Throws `unencodable` where the writer does, and at sections nested deeper than 64.
 */
export const encodeMessage = (message: RequestMessage): Buffer => {
  const writer = createWriter();
  writeSection(writer, message, 0);
  return writer.written();
};

/**
 * The message in a packet. Fails, with the offset of the element at fault, where an element is unknown, cut off or out
 * of place, or where sections are nested deeper than 64.
 *
 * Names must be unique within a section. Where one is repeated the last wins, whatever its kind, as in strongSwan's own
 * Python client (python/vici/protocol.py).
 */
export const decodeMessage = (bytes: Buffer, encoding: ValueEncoding = "utf8"): Result<Message> => {
  const root = newSection();
  const parents: Section[] = [];
  let section = root;
  let list: string[] | undefined;
  for (let offset = 0; offset < bytes.length; ) {
    const element = readElement(bytes, offset, encoding);
    if (!element.ok) {
      return element;
    }
    const { type, name, value, end } = element.value;
    const inList = type === elements.listItem || type === elements.listEnd;
    if (inList !== (list !== undefined)) {
      return invalid(`vici element ${type} ${inList ? "outside" : "inside"} a list at byte ${offset}`);
    }
    switch (type) {
      case elements.sectionStart: {
        if (parents.length === maximumDepth) {
          return invalid(`vici sections nested deeper than ${maximumDepth} at byte ${offset}`);
        }
        const child = newSection();
        section[name] = child;
        parents.push(section);
        section = child;
        break;
      }
      case elements.sectionEnd: {
        const parent = parents.pop();
        if (parent === undefined) {
          return invalid(`vici section ends that never started at byte ${offset}`);
        }
        section = parent;
        break;
      }
      case elements.keyValue:
        section[name] = value;
        break;
      case elements.listStart:
        list = [];
        section[name] = list;
        break;
      case elements.listItem:
        list?.push(value);
        break;
      case elements.listEnd:
        list = undefined;
        break;
      default:
        return type satisfies never;
    }
    offset = end;
  }
  if (list !== undefined || parents.length > 0) {
    return invalid(`vici message ends inside a ${list === undefined ? "section" : "list"}`);
  }
  return valid(root);
};

const elements = {
  sectionStart: 1,
  sectionEnd: 2,
  keyValue: 3,
  listStart: 4,
  listItem: 5,
  listEnd: 6,
} as const;

/** Sections inside sections. charon's messages have five levels at most; the bound keeps recursion over a message safe. */
const maximumDepth = 64;

type Section = { [name: string]: MessageElement };

// Without a prototype `__proto__` is an ordinary key.
const newSection = (): Section => Object.create(null);

const writeSection = (writer: Writer, section: RequestMessage, depth: number): void => {
  if (depth > maximumDepth) {
    throw new ViciError("unencodable", `vici sections nested deeper than ${maximumDepth}`);
  }
  for (const [name, element] of Object.entries(section)) {
    if (isValue(element)) {
      writer.uint8(elements.keyValue);
      writer.name(name);
      writer.value(element);
    } else if (isList(element)) {
      writer.uint8(elements.listStart);
      writer.name(name);
      for (const item of element) {
        writer.uint8(elements.listItem);
        writer.value(item);
      }
      writer.uint8(elements.listEnd);
    } else {
      writer.uint8(elements.sectionStart);
      writer.name(name);
      writeSection(writer, element, depth + 1);
      writer.uint8(elements.sectionEnd);
    }
  }
};

const isValue = (element: RequestElement): element is RequestValue =>
  typeof element === "string" || element instanceof Uint8Array;

// Array.isArray does not narrow a readonly array out of a union.
const isList = (element: RequestElement): element is readonly RequestValue[] => Array.isArray(element);

type Element = {
  readonly type: (typeof elements)[keyof typeof elements];
  /** Empty where the type has none. */
  readonly name: string;
  /** Empty where the type has none. */
  readonly value: string;
  /** Offset of the byte after it. */
  readonly end: number;
};

const readElement = (bytes: Buffer, start: number, encoding: ValueEncoding): Result<Element> => {
  const type = bytes.readUInt8(start);
  switch (type) {
    case elements.sectionEnd:
    case elements.listEnd:
      return valid({ type, name: "", value: "", end: start + 1 });
    case elements.sectionStart:
    case elements.listStart: {
      const nameEnd = endOfName(bytes, start + 1);
      if (nameEnd > bytes.length) {
        return truncated(start);
      }
      return valid({ type, name: bytes.toString("utf8", start + 2, nameEnd), value: "", end: nameEnd });
    }
    case elements.keyValue: {
      const nameEnd = endOfName(bytes, start + 1);
      const end = endOfValue(bytes, nameEnd);
      if (end > bytes.length) {
        return truncated(start);
      }
      const name = bytes.toString("utf8", start + 2, nameEnd);
      return valid({ type, name, value: bytes.toString(encoding, nameEnd + 2, end), end });
    }
    case elements.listItem: {
      const end = endOfValue(bytes, start + 1);
      if (end > bytes.length) {
        return truncated(start);
      }
      return valid({ type, name: "", value: bytes.toString(encoding, start + 3, end), end });
    }
    default:
      return invalid(`unknown vici element ${type} at byte ${start}`);
  }
};

/** Offset after a name; beyond the end of the bytes if they are cut off. */
const endOfName = (bytes: Buffer, start: number): number =>
  start + 1 > bytes.length ? Number.POSITIVE_INFINITY : start + 1 + bytes.readUInt8(start);

/** Offset after a value; beyond the end of the bytes if they are cut off. */
const endOfValue = (bytes: Buffer, start: number): number =>
  start + 2 > bytes.length ? Number.POSITIVE_INFINITY : start + 2 + bytes.readUInt16BE(start);

const truncated = (start: number): Result<never> => invalid(`vici element is cut off at byte ${start}`);
