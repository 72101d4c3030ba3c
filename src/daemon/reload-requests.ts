import type { Control } from "./control.ts";

/** Who asks for a reload, and who waits for what comes of it. */
export type ReloadRequests<Report> = {
  /** Asks for one and settles with what came of it, or would have: `ofStop` when a stop comes before. */
  readonly ask: () => Promise<Report>;
  /** Settles as soon as one is asked for; a signal asks too. */
  readonly asked: () => Promise<{ readonly kind: "reload" }>;
  /** Serves all that have asked until now. Who asks while this goes on is served by the next. The report may take longer. */
  readonly serve: <Served extends { readonly report: Report | Promise<Report> }>(
    reload: () => Promise<Served>,
  ) => Promise<Served>;
  /** Has something else done with no reload beside it. */
  readonly inTurn: <Result>(act: () => Promise<Result>) => Promise<Result>;
};

export const reloadRequests = <Report>(control: Control, ofStop: Report): ReloadRequests<Report> => {
  const stopped = control.stop.then(() => ofStop);
  let asked = Promise.withResolvers<{ readonly kind: "reload" }>();
  let served = Promise.withResolvers<Report>();
  let turn: Promise<unknown> = Promise.resolve();
  const request = (): void => asked.resolve({ kind: "reload" });
  const inTurn: ReloadRequests<Report>["inTurn"] = (act) => {
    const result = turn.then(act);
    turn = result.catch(() => {});
    return result;
  };
  control.onReload(request);
  return {
    ask: () => {
      request();
      return Promise.race([stopped, served.promise]);
    },
    asked: () => asked.promise,
    serve: (reload) =>
      inTurn(async () => {
        const { resolve } = served;
        asked = Promise.withResolvers();
        served = Promise.withResolvers();
        const done = await reload();
        resolve(done.report);
        return done;
      }),
    inTurn,
  };
};
