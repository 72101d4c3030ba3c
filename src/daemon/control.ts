/** What the outside asks of a running gateway; `main.ts` turns signals into it. */
export type Control = {
  /** Settles at the first SIGTERM or SIGINT, with its name. */
  readonly stop: Promise<string>;
  readonly isStopping: () => boolean;
  /** Settles at the second: end now, whatever is left. */
  readonly force: Promise<void>;
  /** SIGHUP: read everything again. One that came while nobody listened is told to the first one at once. */
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
  let reloadMissed = false;
  return {
    stop: stop.promise,
    isStopping: () => stopping,
    force: force.promise,
    onReload: (listener) => {
      reload = listener;
      if (!reloadMissed) return;
      reloadMissed = false;
      listener();
    },
    requestStop: (signal) => {
      if (stopping) force.resolve();
      stopping = true;
      stop.resolve(signal);
    },
    requestReload: () => {
      if (reload === undefined) reloadMissed = true;
      else reload();
    },
  };
};
