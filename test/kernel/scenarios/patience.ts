import type { LogRecord, SiteProcess } from "../../support/site-process.ts";

/** In an emulated guest a gateway takes many times longer to start, on a busy host more than the usual limit. */
export const patience = { timeoutMs: 90_000 };

/** Resolves when its connections are loaded; a tunnel need not be up yet. */
export const isPatientlyReady = (gateway: SiteProcess, from = 0): Promise<LogRecord> =>
  gateway.waitForRecord(({ event }) => event === "ready", { from, ...patience });

/**
 * The longest that a stop may take: the five seconds of the promise, and what the same gateway took to start for the
 * programs that it runs on the way, which are slow here in the same measure. In milliseconds.
 */
export const cap = (startMilliseconds: number): number => 5_000 + startMilliseconds;
