import { invalid, type Result, valid } from "../failure.ts";
import { createWriter } from "./writer.ts";

/**
 * What a frame holds, after strongSwan's src/libcharon/plugins/vici/README.md, "Packet layer". The client sends requests
 * and (un)registrations, charon the rest. `body` is an encoded message, empty where the type has none.
 */
export type Packet =
  | { readonly type: NamedPacketType; readonly name: string; readonly body: Buffer }
  | { readonly type: UnnamedPacketType; readonly body: Buffer };

type NamedPacketType = "command-request" | "event-register" | "event-unregister" | "event";

export type UnnamedPacketType = "command-response" | "command-unknown" | "event-confirm" | "event-unknown";

/** The bytes of a frame without its length field. Throws `unencodable` where the writer does. */
export const encodePacket = (packet: Packet): Buffer => {
  const writer = createWriter();
  writer.uint8(packetTypes.indexOf(packet.type));
  if ("name" in packet) {
    writer.name(packet.name);
  }
  writer.bytes(packet.body);
  return writer.written();
};

/** Fails at an unknown type and at a name that is cut off. The body is not looked at, and shares the frame's memory. */
export const decodePacket = (frame: Buffer): Result<Packet> => {
  const code = frame[0];
  if (code === undefined) {
    return invalid("empty vici packet");
  }
  const type = packetTypes[code];
  switch (type) {
    case undefined:
      return invalid(`unknown vici packet type ${code}`);
    case "command-response":
    case "command-unknown":
    case "event-confirm":
    case "event-unknown":
      return valid({ type, body: frame.subarray(1) });
    case "command-request":
    case "event-register":
    case "event-unregister":
    case "event": {
      const end = 2 + (frame[1] ?? frame.length);
      if (end > frame.length) {
        return invalid(`name of a vici ${type} packet is cut off`);
      }
      return valid({ type, name: frame.toString("utf8", 2, end), body: frame.subarray(end) });
    }
    default:
      return type satisfies never;
  }
};

/** The index is the number on the wire: vici_operation_t in vici_dispatcher.h. */
const packetTypes: readonly Packet["type"][] = [
  "command-request",
  "command-response",
  "command-unknown",
  "event-register",
  "event-unregister",
  "event-confirm",
  "event-unknown",
  "event",
];
