import type { Log } from "../observe/log.ts";
import type { ViciClient } from "../vici/client.ts";
import { listIkeSas } from "./security-associations.ts";

export type KeepUp = {
  /** Replaces the names of the CHILD SAs that must be up, after a reload. */
  readonly expect: (children: readonly string[]) => void;
  /** Names of the CHILD SAs that were installed when last seen. */
  readonly installed: () => ReadonlySet<string>;
  readonly stop: () => void;
};

export type KeepUpOptions = {
  readonly vici: ViciClient;
  readonly log: Log;
  /** Names of the CHILD SAs that must be up. */
  readonly expected: readonly string[];
  /** CHILD SAs to bring up once, because they were up before charon died. */
  readonly restore: ReadonlySet<string>;
};

/**
 * Brings up what must be up and stays so. charon does not: once the peer has deleted a tunnel, nothing of
 * `auto=start` is left, and ipsec.conf cannot ask for a trap and a start together.
 * It looks at the SAs when charon reports a change, and regularly; a tunnel that does not come up is tried again
 * after a growing pause.
 */
export const keepUp = async (options: KeepUpOptions): Promise<KeepUp> => {
  const { vici, log } = options;
  let expected = new Set(options.expected);
  const restore = new Set(options.restore);
  const attempts = new Map<string, { readonly count: number; readonly nextAt: number }>();
  let installed: ReadonlySet<string> = new Set();
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  let looking = false;

  const look = async (): Promise<void> => {
    const sas = await listIkeSas(vici);
    installed = new Set(sas.flatMap((sa) => sa.children.filter(isUp).map((child) => child.name)));
    for (const name of installed) {
      restore.delete(name);
      attempts.delete(name);
    }
    // What is being negotiated is left alone, whichever CHILD SAs it will bring.
    if (sas.some((sa) => sa.negotiating)) return;
    for (const name of new Set([...expected, ...restore])) {
      const attempt = attempts.get(name) ?? { count: 0, nextAt: 0 };
      if (installed.has(name) || Date.now() < attempt.nextAt) continue;
      const pause = Math.min(60_000, 1_000 * 2 ** attempt.count);
      attempts.set(name, { count: attempt.count + 1, nextAt: Date.now() + pause });
      log.info({ event: "initiate", child: name }, "bring up the tunnel");
      // -1: charon goes on by itself and tells by events and its log how it ends.
      await vici.request("initiate", { child: name, timeout: "-1" });
    }
  };

  const lookIn = (milliseconds: number): void => {
    if (stopped) return;
    clearTimeout(timer);
    timer = setTimeout(() => {
      if (looking) return;
      looking = true;
      look()
        // A request without an answer has closed the connection; whoever watches charon's end acts on that.
        .catch((error: unknown) => log.debug({ reason: String(error) }, "charon did not answer"))
        .finally(() => {
          looking = false;
          lookIn(attempts.size > 0 ? 1_000 : 5_000);
        });
    }, milliseconds);
    timer.unref();
  };

  const onChange = (): void => lookIn(settleMilliseconds);
  await vici.subscribe("ike-updown", onChange);
  await vici.subscribe("child-updown", onChange);
  lookIn(settleMilliseconds);
  return {
    expect: (children) => {
      expected = new Set(children);
      attempts.clear();
      lookIn(settleMilliseconds);
    },
    installed: () => installed,
    stop: () => {
      stopped = true;
      clearTimeout(timer);
    },
  };
};

/** A rekeying takes one SA down just after the other is up, and starter initiates what it loads by itself. */
const settleMilliseconds = 100;

const isUp = (child: { readonly state: string }): boolean =>
  child.state === "INSTALLED" || child.state === "REKEYING" || child.state === "REKEYED";
