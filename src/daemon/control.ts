/** What the outside asks of a running gateway; `main.ts` turns signals into it. */
export type Control = {
  /** Settles at the first SIGTERM or SIGINT, with its name. */
  readonly stop: Promise<string>;
  readonly isStopping: () => boolean;
  /** Settles at the second: end now, whatever is left. */
  readonly force: Promise<void>;
  /** SIGHUP: read everything again. */
  readonly onReload: (listener: () => void) => void;
};

export const createControl = (): Control & {
  readonly requestStop: (signal: string) => void;
  readonly requestReload: () => void;
} => {
  const stop = Promise.withResolvers<string>();
  const force = Promise.withResolvers<void>();
  let stopping = false;
  let reload: (() => void) | undefined;
  return {
    stop: stop.promise,
    isStopping: () => stopping,
    force: force.promise,
    onReload: (listener) => {
      reload = listener;
    },
    requestStop: (signal) => {
      if (stopping) force.resolve();
      stopping = true;
      stop.resolve(signal);
    },
    // Before the gateway is up there is nothing to read again: it is reading just now.
    requestReload: () => reload?.(),
  };
};
