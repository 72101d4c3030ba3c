import { setTimeout as sleep } from "node:timers/promises";
import type { Log } from "../observe/log.ts";
import type { ViciClient } from "../vici/client.ts";
import { listIkeSas, listLoadedConnections } from "../vici/listings.ts";
import { isInstalled } from "../vici/readings.ts";

export type KeepUp = {
  /** Replaces the names of the CHILD SAs that must be up, after a reload, and adds some to bring up once. */
  readonly expect: (children: readonly string[], once: readonly string[]) => void;
  /** Names of the CHILD SAs that were installed when last seen. */
  readonly installed: () => ReadonlySet<string>;
  readonly stop: () => void;
};

export type KeepUpOptions = {
  readonly vici: ViciClient;
  readonly log: Log;
  /** Names of the CHILD SAs that must be up. */
  readonly expected: readonly string[];
  /** CHILD SAs to bring up once: they were up before charon died, or packets wait for them. */
  readonly restore: readonly string[];
};

/**
 * Brings up what must be up and keeps it so. charon itself would begin everything together, and forget a tunnel that its
 * peer has deleted; and ipsec.conf cannot ask for a trap and a start together.
 * It looks at the SAs when charon reports a change, and regularly; a tunnel that does not come up is tried again
 * after a growing pause, and keeps none of the others waiting.
 */
export const keepUp = async (options: KeepUpOptions): Promise<KeepUp> => {
  const { vici, log } = options;
  let expected = options.expected;
  let connections: ReadonlyMap<string, string> | undefined;
  let negotiatingBefore = 0;
  const restore = new Set(options.restore);
  const attempts = new Map<string, Attempt>();
  let installed: ReadonlySet<string> = new Set();
  let change = Promise.withResolvers<number>();
  let stopped = false;
  let listingMilliseconds = 0;

  /** Whether more is to be done soon. */
  const look = async (): Promise<boolean> => {
    const begin = performance.now();
    const sas = await listIkeSas(vici);
    listingMilliseconds = performance.now() - begin;
    installed = new Set(sas.flatMap((sa) => sa.children.filter(isInstalled).map(({ name }) => name)));
    for (const name of installed) {
      restore.delete(name);
      attempts.delete(name);
    }
    const missing = [...new Set([...expected, ...restore])].filter((name) => !installed.has(name));
    if (missing.length === 0) return false;
    // What is being negotiated is left alone, whichever CHILD SAs it will bring.
    const negotiating = new Set(sas.flatMap((sa) => (sa.negotiating ? [sa.connection] : [])));
    if (negotiating.size > 0) connections ??= await connectionsOfChildren(vici);
    const isRising = negotiating.size > negotiatingBefore;
    negotiatingBefore = negotiating.size;
    // At first peers call, and starter or charon initiate what is mounted.
    if (isRising && attempts.size === 0) return true;
    const now = performance.now();
    const due = missing
      .filter(
        (name) =>
          !negotiating.has(connections?.get(name) ?? name) && (attempts.get(name)?.nextAt ?? 0) <= now,
      )
      .toSorted((one, other) => (attempts.get(one)?.count ?? 0) - (attempts.get(other)?.count ?? 0));
    const fresh = [...attempts.values()].filter(({ begunAt }) => begunAt > now - freshMilliseconds).length;
    const chosen = due.slice(0, Math.max(0, maximumFresh - fresh));
    for (const child of chosen) {
      // A stop that has looked for SAs already would not know of another.
      if (stopped) return false;
      const { count } = attempts.get(child) ?? { count: 0 };
      const pause = Math.min(60_000, 1_000 * 2 ** count);
      attempts.set(child, { count: count + 1, begunAt: now, nextAt: now + pause });
      log.info({ event: "initiate", child }, "bring up the tunnel");
      // -1: charon goes on by itself and tells by events and its log how it ends.
      await vici.request("initiate", { child, timeout: "-1" });
    }
    return chosen.length < due.length;
  };

  const keepLooking = async (): Promise<void> => {
    // What is mounted may start by itself.
    let settle = expected.length === 0 ? settleMilliseconds : 0;
    for (let pause = 0; !stopped; ) {
      settle = await Promise.race([change.promise, sleep(pause, settle, { ref: false })]);
      await sleep(settle, undefined, { ref: false });
      if (stopped) return;
      change = Promise.withResolvers<number>();
      const isMore = await look().catch((error: unknown) => {
        // A request without an answer has closed the connection; whoever watches charon's end acts on that.
        log.debug({ reason: String(error) }, "charon did not answer");
        return false;
      });
      // Of many SAs a listing takes long, and charon has better to do.
      await sleep(listingMilliseconds, undefined, { ref: false });
      pause = isMore ? 0 : attempts.size > 0 ? 1_000 : Math.max(5_000, 50 * listingMilliseconds);
    }
  };

  const lookSoon = (): void => change.resolve(settleMilliseconds);
  await vici.subscribe("ike-updown", lookSoon);
  await vici.subscribe("child-updown", lookSoon);
  void keepLooking();
  return {
    expect: (children, once) => {
      expected = children;
      for (const child of once) restore.add(child);
      connections = undefined;
      attempts.clear();
      change.resolve(0);
    },
    installed: () => installed,
    stop: () => {
      stopped = true;
    },
  };
};

type Attempt = { readonly count: number; readonly begunAt: number; readonly nextAt: number };

/** A rekeying takes one SA down just after the other is up, and of many that change together one look is enough. */
const settleMilliseconds = 100;

/** So many may have begun so lately: a thousand at once would only wait for each other. Peers that are dead hold up none. */
const maximumFresh = 50;
const freshMilliseconds = 2_000;

const connectionsOfChildren = async (vici: ViciClient): Promise<ReadonlyMap<string, string>> => {
  const loaded = await listLoadedConnections(vici);
  return new Map(
    loaded.flatMap(({ name, children }) => children.map((child) => [child.name, name] as const)),
  );
};
