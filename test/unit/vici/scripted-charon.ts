import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { encodeMessage } from "../../../src/vici/codec.ts";
import { createFrameReader, encodeFrame } from "../../../src/vici/frame.ts";
import type { RequestMessage } from "../../../src/vici/message.ts";
import { decodePacket, encodePacket, type Packet } from "../../../src/vici/packet.ts";

/** What a script can do on the connection that a packet came from. */
export type Peer = {
  readonly socket: Socket;
  readonly respond: (message?: RequestMessage) => void;
  readonly raise: (event: string, message: RequestMessage) => void;
  readonly say: (type: "command-unknown" | "event-confirm" | "event-unknown") => void;
};

export type ScriptedCharon = {
  readonly path: string;
  /** What came, in order: `event-register log`, `command-request version`. */
  readonly heard: readonly string[];
};

/** A vici server on a Unix socket that does what the script says to each packet, and is gone after the test. */
export const startScriptedCharon = async (
  context: TestContext,
  script: (packet: Packet & { readonly name: string }, peer: Peer) => void,
): Promise<ScriptedCharon> => {
  const directory = await mkdtemp(join(tmpdir(), "vici-"));
  const path = join(directory, "charon.vici");
  const heard: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    const peer = createPeer(socket);
    const readFrames = createFrameReader();
    // A client that breaks off makes the script's writes fail.
    socket.on("error", () => socket.destroy());
    socket.on("data", (chunk: Buffer) => {
      for (const frame of readFrames(chunk)) {
        const packet = frame.ok ? decodePacket(frame.value) : frame;
        if (!packet.ok) throw new Error(packet.problem.message);
        if (!("name" in packet.value)) throw new Error(`the client sent ${packet.value.type}`);
        heard.push(`${packet.value.type} ${packet.value.name}`);
        script(packet.value, peer);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  context.after(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await rm(directory, { recursive: true });
  });
  return { path, heard };
};

/** Confirms registrations and gives every command an empty response. */
export const behave = (packet: Packet, peer: Peer): void => {
  if (packet.type === "command-request") {
    peer.respond();
  } else {
    peer.say("event-confirm");
  }
};

const createPeer = (socket: Socket): Peer => {
  const send = (packet: Packet): void => {
    socket.write(encodeFrame(encodePacket(packet)));
  };
  return {
    socket,
    respond: (message = {}) => send({ type: "command-response", body: encodeMessage(message) }),
    raise: (event, message) => send({ type: "event", name: event, body: encodeMessage(message) }),
    say: (type) => send({ type, body: Buffer.alloc(0) }),
  };
};
