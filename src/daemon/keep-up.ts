import type { ChildSa } from "../gateway/gateway.ts";
import type { Log } from "../observe/log.ts";
import type { ViciClient } from "../vici/client.ts";
import { listIkeSas } from "./security-associations.ts";

export type KeepUp = {
  /** Replaces the CHILD SAs that must be up, after a reload. */
  readonly expect: (children: readonly ChildSa[]) => void;
  /** Names of the CHILD SAs that were installed when last seen. */
  readonly installed: () => ReadonlySet<string>;
  readonly stop: () => void;
};

export type KeepUpOptions = {
  readonly vici: ViciClient;
  readonly log: Log;
  readonly children: readonly ChildSa[];
  /** CHILD SAs to bring up once, because they were up before charon died. */
  readonly restore: ReadonlySet<string>;
  /** Called when charon has not answered for `hungAfterMilliseconds`. */
  readonly onHung: () => void;
};

/**
 * Brings up what must be up and stays so. charon does not: after the peer has deleted a tunnel nothing of
 * `auto=start` is left, and ipsec.conf cannot ask for a trap and a start together.
 * It looks at the SAs at every change that charon reports, and regularly; a tunnel that does not come up is tried
 * again after a growing pause.
 */
export const keepUp = async (options: KeepUpOptions): Promise<KeepUp> => {
  const { vici, log } = options;
  let expected = new Set(options.children.filter((child) => child.atOnce).map((child) => child.name));
  const restore = new Set(options.restore);
  const attempts = new Map<string, { count: number; nextAt: number }>();
  let installed: ReadonlySet<string> = new Set();
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  let looking: Promise<void> | undefined;

  const look = async (): Promise<void> => {
    const sas = await listIkeSas(vici);
    installed = new Set(sas.flatMap((sa) => sa.children.filter(isUp).map((child) => child.name)));
    for (const name of installed) {
      restore.delete(name);
      attempts.delete(name);
    }
    // What is being negotiated is left alone, whichever of the connection's CHILD SAs it will bring.
    const busy = sas.some((sa) => sa.state === "CONNECTING");
    for (const name of [...expected, ...restore]) {
      if (installed.has(name) || busy) continue;
      const attempt = attempts.get(name) ?? { count: 0, nextAt: 0 };
      if (Date.now() < attempt.nextAt) continue;
      attempts.set(name, { count: attempt.count + 1, nextAt: Date.now() + Math.min(60_000, 2_000 * 2 ** attempt.count) });
      log.info({ event: "initiate", child: name }, "bring up the tunnel");
      // -1: charon goes on by itself and reports by events and its log.
      await vici.request("initiate", { child: name, timeout: "-1" });
    }
  };

  const lookSoon = (milliseconds: number): void => {
    if (stopped) return;
    clearTimeout(timer);
    timer = setTimeout(() => {
      looking ??= look()
        .catch((error: unknown) => {
          // A request that timed out has closed the connection: charon is hung or gone, and its owner acts on that.
          if (!stopped) log.debug({ reason: String(error) }, "charon did not answer");
        })
        .finally(() => {
          looking = undefined;
          lookSoon(lookEveryMilliseconds);
        });
    }, milliseconds);
    timer.unref();
  };

  lookSoon(0);
  return {
    expect: (children) => {
      expected = new Set(children.filter((child) => child.atOnce).map((child) => child.name));
      attempts.clear();
      lookSoon(0);
    },
    installed: () => installed,
    stop: () => {
      stopped = true;
      clearTimeout(timer);
    },
  };
};

const lookEveryMilliseconds = 5_000;

const isUp = (child: { readonly state: string }): boolean => child.state === "INSTALLED" || child.state === "REKEYING";
