import { bootGuest, type Guest, type GuestPurpose } from "./guest.ts";

/** Guests for many scenarios. */
export type SharedGuests = {
  /**
   * Waits until one is free. Throws what `use` throws, or why no guest boots. `untouched` asks for a guest in which
   * nothing has run yet.
   */
  lend(untouched: boolean, use: (guest: Guest) => Promise<void>): Promise<void>;
  powerOff(): Promise<void>;
};

/** At most so many at a time; a scenario that waits leaves a processor to another. */
export const sharedGuests = (purpose: GuestPurpose, most: number): SharedGuests => {
  const idle: Guest[] = [];
  const waiting: (() => void)[] = [];
  let lent = 0;
  const boot = bootUnlessHopeless(purpose);
  const powerOff = async (): Promise<void> => {
    await Promise.all(idle.splice(0).map((guest) => guest.powerOff()));
  };
  return {
    powerOff,
    lend: async (untouched, use) => {
      while (lent === most) await new Promise<void>((resolve) => waiting.push(resolve));
      lent += 1;
      try {
        if (untouched) await powerOff();
        const guest = idle.pop() ?? (await boot());
        try {
          await use(guest);
        } catch (error) {
          // Who knows what a failed scenario leaves: the next gets a new guest.
          await guest.powerOff();
          throw error;
        }
        idle.push(guest);
      } finally {
        lent -= 1;
        waiting.shift()?.();
      }
    },
  };
};

/** One boot at a time, the first of which fetches the kernel. One that failed once would fail again, after its whole time limit. */
const bootUnlessHopeless = (purpose: GuestPurpose): (() => Promise<Guest>) => {
  let failure: { readonly error: unknown } | undefined;
  let last: Promise<unknown> = Promise.resolve();
  const boot = async (): Promise<Guest> => {
    if (failure !== undefined) throw failure.error;
    try {
      return await bootGuest(purpose);
    } catch (error) {
      failure = { error };
      throw error;
    }
  };
  return () => {
    const booting = last.then(boot);
    last = booting.catch(() => undefined);
    return booting;
  };
};
