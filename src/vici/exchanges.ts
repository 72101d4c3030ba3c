import type { Packet, UnnamedPacketType } from "./packet.ts";
import { ViciError } from "./vici-error.ts";

/** What charon says to a command, a registration or an unregistration; always one packet. */
type Answer = Extract<Packet, { readonly type: UnnamedPacketType }>;

type Exchange = {
  /** Encoded. */
  readonly packet: Buffer;
  /** What is asked, for messages to people: `list-sas`, `event-register log`. */
  readonly subject: string;
  /** How long charon may take once the packet is sent; Infinity for as long as it likes. */
  readonly timeoutMs: number;
  /** Called when its turn has come and the packet is sent. */
  readonly onSent?: (() => void) | undefined;
};

export type Exchanges = {
  /** Gives charon's answer, whatever it is. Rejects if the time is up or the connection ends. */
  readonly ask: (exchange: Exchange) => Promise<Answer>;
  /** Settles the exchange in flight. False if there is none: charon spoke unasked. */
  readonly answer: (answer: Answer) => boolean;
  /** Rejects the exchange in flight with the reason, and all others, now and later, as `closed`. */
  readonly end: (reason: ViciError) => void;
};

type ExchangesOwner = {
  readonly send: (packet: Buffer) => void;
  /** Must end the connection, and with it the exchanges. */
  readonly timedOut: (reason: ViciError) => void;
  /** Timers do not keep the process alive. */
  readonly unref: boolean;
};

/**
 * Exchanges in the order asked, one at a time, since no answer tells which request it belongs to (strongSwan's
 * src/libcharon/plugins/vici/README.md, "Commands"). For the same reason a connection is of no use once an answer is
 * overdue.
 */
export const createExchanges = ({ send, timedOut, unref }: ExchangesOwner): Exchanges => {
  let turn: Promise<unknown> = Promise.resolve();
  let inFlight: (PromiseWithResolvers<Answer> & { readonly timer: NodeJS.Timeout | undefined }) | undefined;
  let ended: ViciError | undefined;

  const perform = ({ packet, subject, timeoutMs, onSent }: Exchange): Promise<Answer> => {
    if (ended !== undefined) {
      const message = `vici connection ended before it could carry ${subject}: ${ended.message}`;
      throw new ViciError("closed", message, { cause: ended });
    }
    const giveUp = (): void =>
      timedOut(new ViciError("timeout", `charon did not answer ${subject} within ${timeoutMs} ms`));
    const timer = startTimer(giveUp, timeoutMs, unref);
    inFlight = { ...Promise.withResolvers<Answer>(), timer };
    send(packet);
    onSent?.();
    return inFlight.promise;
  };

  const takeInFlight = (): PromiseWithResolvers<Answer> | undefined => {
    const taken = inFlight;
    inFlight = undefined;
    clearTimeout(taken?.timer);
    return taken;
  };

  return {
    ask: (exchange) => {
      const answer = turn.then(() => perform(exchange));
      turn = answer.catch(() => undefined);
      return answer;
    },
    answer: (answer) => {
      const taken = takeInFlight();
      taken?.resolve(answer);
      return taken !== undefined;
    },
    end: (reason) => {
      ended ??= reason;
      takeInFlight()?.reject(reason);
    },
  };
};

/** The longest time that setTimeout knows, 24 days; it would take a longer one as 1 ms. */
const longestTimerMs = 2 ** 31 - 1;

const startTimer = (callback: () => void, timeoutMs: number, unref: boolean): NodeJS.Timeout | undefined => {
  if (timeoutMs > longestTimerMs) {
    return undefined;
  }
  const timer = setTimeout(callback, timeoutMs);
  return unref ? timer.unref() : timer;
};
