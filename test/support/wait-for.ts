import { setTimeout as pause } from "node:timers/promises";

/** The limit of every wait that names none: far beyond what a loaded machine needs, so that reaching it is a fault. */
export const generousTimeoutMs = 60_000;

/**
 * Looks until `look` gives something other than undefined.
 * Fails after the limit with `what` and whatever `explain` says then.
 */
export const waitFor = async <Found>(
  what: string,
  look: () => Promise<Found | undefined> | Found | undefined,
  { timeoutMs = generousTimeoutMs, explain = () => "" }: { timeoutMs?: number; explain?: () => string } = {},
): Promise<Found> => {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const began = performance.now();
    const found = await look();
    if (found !== undefined) {
      return found;
    }
    if (performance.now() > deadline) {
      throw new Error(`waited ${timeoutMs} ms for ${what}\n${explain()}`);
    }
    // Whoever looks through programs leaves half of the time to what is waited for.
    await pause(Math.max(5, performance.now() - began));
  }
};
