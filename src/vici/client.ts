import { decodeMessage, encodeMessage, type ValueEncoding } from "./codec.ts";
import { createExchanges } from "./exchanges.ts";
import type { Message, RequestMessage } from "./message.ts";
import { encodePacket, type Packet } from "./packet.ts";
import { streamEvents } from "./stream.ts";
import { createSubscriptions, type Unsubscribe } from "./subscriptions.ts";
import { openTransport } from "./transport.ts";
import { ViciError } from "./vici-error.ts";

export type ConnectOptions = {
  /** How long charon may take over one command or registration; 10 000 unless told. Infinity for as long as it likes. */
  readonly timeoutMs?: number;
  /** The connection does not keep the process alive, not even while a request waits for its answer. */
  readonly unref?: boolean;
};

export type RequestOptions = {
  /** Instead of the connection's. Counts from when the command is sent, not while it waits for its turn. */
  readonly timeoutMs?: number;
  /** Of the values in the response, and in the events of a stream. */
  readonly encoding?: ValueEncoding;
};

/**
 * A connection to charon. It carries one command at a time and the others wait, so who wants events or answers while a
 * long command runs opens a second one. Everything rejects with `ViciError`. A request that times out ends the
 * connection, for a late answer would pass for that of the next request.
 */
export type ViciClient = {
  /** The response, whatever it says: `requireSuccess` is for those to whom `success = no` is a fault. */
  readonly request: (command: string, message?: RequestMessage, options?: RequestOptions) => Promise<Message>;
  /** The messages of the event that the command streams, such as `list-sa` of `list-sas`; returns the response. */
  readonly stream: (
    command: string,
    event: string,
    message?: RequestMessage,
    options?: RequestOptions,
  ) => AsyncGenerator<Message, Message, undefined>;
  /** Settles once charon confirmed. The listener runs while the socket is read and must not throw. */
  readonly subscribe: (event: string, listener: (message: Message) => void) => Promise<Unsubscribe>;
  /** Settles at the end of the connection, with the reason unless it was `close`. Never rejects. */
  readonly closed: Promise<ViciError | undefined>;
  /** Rejects all that is pending. */
  readonly close: () => void;
};

/** Connects to charon's Unix socket (/var/run/charon.vici on Debian and Alpine); rejects with `unreachable`. */
export const connectVici = async (path: string, options: ConnectOptions = {}): Promise<ViciClient> => {
  const { timeoutMs: usualTimeoutMs = 10_000, unref = false } = options;

  const receive = (packet: Packet): void => {
    switch (packet.type) {
      case "event":
        subscriptions.dispatch(packet.name, packet.body);
        break;
      case "command-response":
      case "command-unknown":
      case "event-confirm":
      case "event-unknown":
        if (!exchanges.answer(packet)) {
          breakOff(`${packet.type} that nobody asked for`);
        }
        break;
      case "command-request":
      case "event-register":
      case "event-unregister":
        breakOff(`${packet.type} from charon`);
        break;
      default:
        packet satisfies never;
    }
  };
  const transport = await openTransport(path, unref, { receive, ended: (reason) => exchanges.end(reason) });
  const exchanges = createExchanges({ send: transport.send, timedOut: transport.end, unref });
  const breakOff = (fault: string): ViciError => {
    const reason = new ViciError("protocol", `not the vici protocol: ${fault}`);
    transport.end(reason);
    return reason;
  };

  const run = async (
    command: string,
    message: RequestMessage = {},
    { timeoutMs = usualTimeoutMs, encoding = "utf8" }: RequestOptions = {},
    onSent?: () => void,
  ): Promise<Message> => {
    const packet = encodePacket({ type: "command-request", name: command, body: encodeMessage(message) });
    const answer = await exchanges.ask({ packet, subject: command, timeoutMs, onSent });
    if (answer.type === "command-unknown") {
      throw new ViciError("unknown-command", `charon knows no vici command ${command}`);
    }
    if (answer.type !== "command-response") {
      throw breakOff(`${answer.type} in answer to ${command}`);
    }
    const response = decodeMessage(answer.body, encoding);
    if (!response.ok) {
      throw breakOff(`response to ${command}: ${response.problem.message}`);
    }
    return response.value;
  };

  const register = async (type: "event-register" | "event-unregister", event: string): Promise<void> => {
    const packet = encodePacket({ type, name: event, body: Buffer.alloc(0) });
    const answer = await exchanges.ask({ packet, subject: `${type} ${event}`, timeoutMs: usualTimeoutMs });
    if (answer.type === "event-unknown") {
      throw new ViciError("unknown-event", `charon knows no vici event ${event}`);
    }
    if (answer.type !== "event-confirm") {
      throw breakOff(`${answer.type} in answer to ${type} ${event}`);
    }
  };
  const subscriptions = createSubscriptions({
    register: (event) => register("event-register", event),
    unregister: (event) => register("event-unregister", event),
  });
  const subscribe = (
    event: string,
    listener: (message: Message) => void,
    encoding: ValueEncoding = "utf8",
  ): Promise<Unsubscribe> =>
    subscriptions.subscribe(event, (body) => {
      const message = decodeMessage(body, encoding);
      if (message.ok) {
        listener(message.value);
      } else {
        breakOff(`event ${event}: ${message.problem.message}`);
      }
    });

  const ownWish = new ViciError("closed", "vici connection was closed");
  return {
    request: (command, message, requestOptions) => run(command, message, requestOptions),
    stream: (command, event, message, requestOptions) =>
      streamEvents(
        (listener) => subscribe(event, listener, requestOptions?.encoding),
        (onSent) => run(command, message, requestOptions, onSent),
      ),
    subscribe: (event, listener) => subscribe(event, listener),
    closed: transport.closed.then((reason) => (reason === ownWish ? undefined : reason)),
    close: () => transport.end(ownWish),
  };
};
