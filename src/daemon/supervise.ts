import { setTimeout as sleep } from "node:timers/promises";
import { exitCodes, Failure } from "../failure.ts";
import type { Log } from "../observe/log.ts";
import { type Charon, type StartFailure, type StartOptions, startCharon } from "./charon.ts";
import type { Control } from "./control.ts";
import { type KeepUp, keepUp } from "./keep-up.ts";
import type { ReloadRequests } from "./reload-requests.ts";
import { stopCharon } from "./stop-charon.ts";

export type Supervision = {
  readonly log: Log;
  readonly control: Control;
  /** How the next charon is started; a reload changes it. */
  readonly start: () => Omit<StartOptions, "isStopping">;
  /** Has a charon that has just started load its connections. */
  readonly load: (charon: Charon) => Promise<void>;
  /** Names of the CHILD SAs to bring up once, because packets wait for them and the kernel does not ask again. */
  readonly awaited: () => Promise<readonly string[]>;
  /** Names of the CHILD SAs that must be up; a reload changes them. */
  readonly expectedUp: () => readonly string[];
  readonly reloads: Pick<ReloadRequests<unknown>, "asked">;
  /** Serves those who ask for a reload: reads everything again and has charon follow. */
  readonly reload: (charon: Charon) => Promise<"changed" | "restart" | "unchanged">;
  /** Is told when a life of charon begins, when it is over, and when the stop begins. */
  readonly follower: {
    readonly daemonStarted: (pid: number) => void;
    readonly daemonEnded: () => void;
    readonly stopping: () => void;
  };
  /** charon's last words, for when it will not stay up. */
  readonly lastWords: () => readonly string[];
  /** Called after charon was killed, which leaves in the kernel what it had installed there. */
  readonly afterKill: () => Promise<void>;
};

/** Keeps charon running until a stop is asked for; throws when it will not stay up. */
export const supervise = async (supervision: Supervision): Promise<void> => {
  const { log, control } = supervision;
  const deaths: number[] = [];
  let installed: ReadonlySet<string> = new Set();
  while (!control.isStopping()) {
    const startedAt = performance.now();
    const started = await startCharon({ ...supervision.start(), isStopping: control.isStopping });
    let end: string;
    if (isFailure(started)) {
      if (control.isStopping()) {
        await supervision.afterKill();
        return;
      }
      end = started.failed;
    } else {
      const outcome = await watch(started, supervision, installed, startedAt);
      if (outcome.kind === "stopped") return;
      installed = outcome.installed;
      if (outcome.kind === "restart") continue;
      end = outcome.end;
    }
    await supervision.afterKill();
    deaths.push(performance.now());
    const recent = deaths.filter((time) => time > performance.now() - 60_000);
    if (recent.length >= maximumDeathsPerMinute) throw willNotStayUp(end, supervision.lastWords());
    const pause = pauseAfter(recent.length);
    log.error(
      { event: "charon-died", reason: end, deaths: recent.length, pauseMilliseconds: pause },
      "charon died and is started again",
    );
    await Promise.race([sleep(pause), control.stop]);
  }
};

const maximumDeathsPerMinute = 10;

/** None after the first death, then 0.1 s, doubled up to 10 s. */
const pauseAfter = (deaths: number): number => (deaths <= 1 ? 0 : Math.min(10_000, 100 * 2 ** (deaths - 2)));

const isFailure = (started: Charon | StartFailure): started is StartFailure => "failed" in started;

type Outcome =
  | { readonly kind: "stopped" }
  | { readonly kind: "died"; readonly end: string; readonly installed: ReadonlySet<string> }
  | { readonly kind: "restart"; readonly installed: ReadonlySet<string> };

/** One life of charon. */
const watch = async (
  charon: Charon,
  supervision: Supervision,
  restore: ReadonlySet<string>,
  startedAt: number,
): Promise<Outcome> => {
  const { log, control, expectedUp, follower, reloads } = supervision;
  const stop = control.stop.then((signal) => ({ kind: "stop", signal }) as const);
  const died = charon.ended.then((end) => ({ kind: "died", end }) as const);
  log.info({ event: "charon-started", pid: charon.pid }, "charon is running");
  follower.daemonStarted(charon.pid);
  let keeper: KeepUp | undefined;
  let over = false;
  const ready = (async () => {
    await supervision.load(charon);
    // A packet can also meet a trap before charon knows its own (trap_manager.c: "trap not found, unable to acquire").
    const awaited = await supervision.awaited();
    const keeping = await keepUp({
      vici: charon.vici,
      log,
      expected: expectedUp(),
      restore: [...restore, ...awaited],
    });
    if (over) {
      keeping.stop();
      return;
    }
    keeper = keeping;
    log.info(
      { event: "ready", milliseconds: Math.round(performance.now() - startedAt) },
      "the gateway is ready",
    );
  })().catch((error: unknown) => log.debug({ reason: String(error) }, "charon ended while it was loading"));
  const stopKeeping = (): ReadonlySet<string> => {
    over = true;
    keeper?.stop();
    return keeper?.installed() ?? restore;
  };
  const endCharon = async (): Promise<void> => {
    const { killed } = await stopCharon(charon, log, control.force);
    if (killed) await supervision.afterKill();
  };

  // With charon gone whatever a reload waits for fails at once; what it has changed must be known before it is undone.
  let reloading: Promise<unknown> = Promise.resolve();
  const reload = () => {
    const served = ready.then(() => (control.isStopping() ? "unchanged" : supervision.reload(charon)));
    reloading = served.catch(() => {});
    return served;
  };
  try {
    for (;;) {
      const event = await Promise.race([stop, died, reloads.asked()]);
      const effect = event.kind === "reload" ? await Promise.race([stop, died, reload()]) : event;
      if (effect === "unchanged") continue;
      if (effect === "changed") {
        keeper?.expect(expectedUp(), await supervision.awaited());
        continue;
      }
      const installed = stopKeeping();
      if (effect === "restart") {
        await endCharon();
        return { kind: "restart", installed };
      }
      if (effect.kind === "died") {
        charon.vici.close();
        await charon.kill();
        return { kind: "died", end: effect.end, installed };
      }
      log.info({ event: "stopping", signal: effect.signal }, "stopping");
      follower.stopping();
      await endCharon();
      return { kind: "stopped" };
    }
  } finally {
    stopKeeping();
    follower.daemonEnded();
    await reloading;
  }
};

const willNotStayUp = (end: string, lastWords: readonly string[]): Failure =>
  new Failure(
    [
      {
        message: `charon died ${maximumDeathsPerMinute} times within a minute: ${end}`,
        hint: lastWords.length === 0 ? "it said nothing" : `its last words: ${lastWords.join(" | ")}`,
      },
    ],
    exitCodes.software,
  );
