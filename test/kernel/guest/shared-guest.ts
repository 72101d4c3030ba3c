import { bootGuest, type Guest, type GuestPurpose } from "./guest.ts";

/** One guest for many scenarios. */
export type SharedGuest = {
  /** Throws what `use` throws, or why no guest boots. `untouched` asks for a guest in which nothing has run yet. */
  lend(untouched: boolean, use: (guest: Guest) => Promise<void>): Promise<void>;
  powerOff(): Promise<void>;
};

export const sharedGuest = (purpose: GuestPurpose): SharedGuest => {
  let shared: Guest | undefined;
  const boot = bootUnlessHopeless(purpose);
  const powerOff = async (): Promise<void> => {
    const guest = shared;
    shared = undefined;
    await guest?.powerOff();
  };
  return {
    powerOff,
    lend: async (untouched, use) => {
      if (untouched) await powerOff();
      shared ??= await boot();
      try {
        await use(shared);
      } catch (error) {
        // Who knows what a failed scenario leaves: the next gets a new guest.
        await powerOff();
        throw error;
      }
    },
  };
};

/** A boot that failed once would fail again, and takes its whole time limit to do so. */
const bootUnlessHopeless = (purpose: GuestPurpose): (() => Promise<Guest>) => {
  let failure: { readonly error: unknown } | undefined;
  return async () => {
    if (failure !== undefined) throw failure.error;
    try {
      return await bootGuest(purpose);
    } catch (error) {
      failure = { error };
      throw error;
    }
  };
};
