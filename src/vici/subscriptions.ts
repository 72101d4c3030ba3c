/** Stops a listener; settles once charon no longer sends the event for it. Never rejects, may be called again. */
export type Unsubscribe = () => Promise<void>;

export type Subscriptions = {
  /** Settles once charon confirmed the registration; rejects as `register` does. */
  readonly subscribe: (event: string, listener: EventListener) => Promise<Unsubscribe>;
  readonly dispatch: (event: string, body: Buffer) => void;
};

/** Takes the encoded message of an event. */
type EventListener = (body: Buffer) => void;

type Registrar = {
  readonly register: (event: string) => Promise<void>;
  readonly unregister: (event: string) => Promise<void>;
};

/**
 * Which listeners hear which event. Each event is registered once however many listen: charon sends an event as many
 * times as a connection registered for it (register_event in vici_dispatcher.c).
 */
export const createSubscriptions = ({ register, unregister }: Registrar): Subscriptions => {
  const registrations = new Map<string, Registration>();

  const open = (event: string): Registration => {
    const registration: Registration = { confirmed: register(event), listeners: new Set() };
    registrations.set(event, registration);
    registration.confirmed.catch(() => registrations.delete(event));
    return registration;
  };

  return {
    subscribe: async (event, listener) => {
      const registration = registrations.get(event) ?? open(event);
      // Wrapped, so that a function that subscribes twice counts twice. Added before the confirmation, which another
      // thread of charon may overtake with an event.
      const entry = { hear: listener };
      registration.listeners.add(entry);
      await registration.confirmed;
      return async () => {
        if (!registration.listeners.delete(entry) || registration.listeners.size > 0) {
          return;
        }
        registrations.delete(event);
        // However this ends, the event is heard no more: charon confirms, has forgotten us, or is gone.
        await unregister(event).catch(() => undefined);
      };
    },
    dispatch: (event, body) => {
      for (const entry of registrations.get(event)?.listeners ?? []) {
        entry.hear(body);
      }
    },
  };
};

type Registration = {
  readonly confirmed: Promise<void>;
  readonly listeners: Set<{ readonly hear: EventListener }>;
};
