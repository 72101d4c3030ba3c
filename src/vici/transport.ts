import { connect, type Socket } from "node:net";
import { createFrameReader, encodeFrame } from "./frame.ts";
import { decodePacket, type Packet } from "./packet.ts";
import { ViciError } from "./vici-error.ts";

/** Packets over a Unix socket. */
export type Transport = {
  /** Takes an encoded packet; nothing after the end. */
  readonly send: (packet: Buffer) => void;
  /** Ends the connection for that reason, unless it has ended already. */
  readonly end: (reason: ViciError) => void;
  /** Settles with the reason once the socket is closed. Never rejects. */
  readonly closed: Promise<ViciError>;
};

export type TransportOwner = {
  readonly receive: (packet: Packet) => void;
  /** Called once, as soon as no more packets will come or go: `end`, what is not vici, or charon gone. */
  readonly ended: (reason: ViciError) => void;
};

/** Rejects with `unreachable`. With `unref` the socket does not keep the process alive. */
export const openTransport = async (
  path: string,
  unref: boolean,
  owner: TransportOwner,
): Promise<Transport> => {
  const socket = await openSocket(path, unref);
  const readFrames = createFrameReader();
  const closed = Promise.withResolvers<ViciError>();
  let ended: ViciError | undefined;

  const end = (reason: ViciError): void => {
    if (ended === undefined) {
      ended = reason;
      socket.destroy();
      owner.ended(reason);
    }
  };
  socket.on("data", (chunk: Buffer) => {
    for (const frame of readFrames(chunk)) {
      const packet = frame.ok ? decodePacket(frame.value) : frame;
      if (!packet.ok) {
        end(new ViciError("protocol", `not the vici protocol: ${packet.problem.message}`));
      }
      if (!packet.ok || ended !== undefined) {
        return;
      }
      owner.receive(packet.value);
    }
  });
  socket.on("error", (error) => {
    end(new ViciError("closed", `vici connection failed: ${error.message}`, { cause: error }));
  });
  socket.on("close", () => {
    const reason = ended ?? new ViciError("closed", "charon closed the vici connection");
    end(reason);
    closed.resolve(reason);
  });

  return {
    send: (packet) => {
      socket.write(encodeFrame(packet));
    },
    end,
    closed: closed.promise,
  };
};

// No time limit: connect(2) to a Unix socket never waits when it must not block, a full backlog is EAGAIN at once.
const openSocket = (path: string, unref: boolean): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const refuse = (error: Error): void => {
      reject(new ViciError("unreachable", `no vici at ${path}: ${error.message}`, { cause: error }));
    };
    const socket = connect({ path });
    if (unref) {
      socket.unref();
    }
    socket.once("error", refuse);
    socket.once("connect", () => {
      socket.off("error", refuse);
      resolve(socket);
    });
  });
