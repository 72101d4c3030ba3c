import type { Message } from "./message.ts";
import type { Unsubscribe } from "./subscriptions.ts";

/**
 * Yields the messages of an event that arrive while a command runs, then returns the command's response. Nothing happens
 * before the first `next()`. Messages that the consumer has not taken yet are kept in memory, for the socket is shared.
 * A consumer that leaves early is not held up: the command runs on unheard, and the registration ends after it.
 */
export async function* streamEvents(
  subscribe: (listener: (message: Message) => void) => Promise<Unsubscribe>,
  run: (onSent: () => void) => Promise<Message>,
): AsyncGenerator<Message, Message, undefined> {
  let arrived: Message[] = [];
  let running = false;
  let finished = false;
  let wake = (): void => {};

  const unsubscribe = await subscribe((message) => {
    // Until then, the event belongs to another command on the same connection.
    if (running) {
      arrived.push(message);
      wake();
    }
  });
  const response = run(() => {
    running = true;
  });
  const finish = (): void => {
    running = false;
    finished = true;
    wake();
  };
  response.then(finish, finish);

  try {
    while (!finished || arrived.length > 0) {
      if (arrived.length === 0) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      const batch = arrived;
      arrived = [];
      yield* batch;
    }
    return await response;
  } finally {
    const unsubscribed = unsubscribe();
    if (finished) {
      await unsubscribed;
    }
  }
}
