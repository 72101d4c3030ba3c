import { type ChildSaReading, type IkeSaReading, isInstalled } from "../vici/readings.ts";

/** What has passed a CHILD SA's name since the gateway started, over every renewal and every life of the daemon. */
export type Traffic = {
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly packetsIn: number;
  readonly packetsOut: number;
};

/** The history of one CHILD SA, by name. */
export type ChildHistory = {
  readonly traffic: Traffic;
  readonly rekeys: number;
  /** How often it came up. */
  readonly ups: number;
  /** Since when it is up, or down; undefined while nothing has been seen of it. Milliseconds since 1970. */
  readonly since?: number;
  readonly isUp: boolean;
};

/** A CHILD SA went down, and how long it had been up. */
export type TunnelDown = { readonly child: string; readonly upMilliseconds: number };

/**
 * Adds up what SAs that come and go have carried. charon counts anew for every SA and forgets those that are gone, so
 * each is remembered by its number, with the most that was ever seen of it: what is added up never falls.
 */
export type Ledger = {
  /** True if it was down before. */
  readonly up: (sa: ChildSaReading, now: number) => boolean;
  readonly down: (sa: ChildSaReading, now: number) => TunnelDown | undefined;
  readonly rekeyed: (before: ChildSaReading, after: ChildSaReading, now: number) => void;
  /** How often it was told of SAs so far. */
  readonly told: () => number;
  /**
   * Takes in a listing of all SAs, and how often it was told of any when that was asked for: what is missing in the
   * listing has gone unless it came meanwhile. Returns the SAs that brought their tunnel up, and the tunnels that went.
   */
  readonly seen: (
    sas: readonly IkeSaReading[],
    now: number,
    told?: number,
  ) => { readonly came: readonly ChildSaReading[]; readonly went: readonly TunnelDown[] };
  /** The daemon is gone, and all SAs with it. */
  readonly daemonEnded: (now: number) => readonly TunnelDown[];
  readonly of: (child: string) => ChildHistory;
};

export const createLedger = (): Ledger => {
  const entries = new Map<string, Entry>();
  let told = 0;
  const entry = (child: string): Entry => {
    const known = entries.get(child);
    if (known !== undefined) return known;
    const created: Entry = { past: nothing, sas: new Map(), gone: [], rekeys: 0, ups: 0 };
    entries.set(child, created);
    return created;
  };

  const note = (sa: ChildSaReading, kept: Entry): Sa => {
    const known = kept.sas.get(sa.uniqueId);
    const noted = { ...larger(known ?? nothing, sa), isRetired: known?.isRetired ?? false, told };
    kept.sas.set(sa.uniqueId, noted);
    return noted;
  };

  const fold = (kept: Entry, uniqueId: string): void => {
    kept.past = sum([kept.past, kept.sas.get(uniqueId) ?? nothing]);
    kept.sas.delete(uniqueId);
    kept.gone.push(uniqueId);
    if (kept.gone.length > goneKept) kept.gone.shift();
  };

  const up = (sa: ChildSaReading, now: number): boolean => {
    told += 1;
    const kept = entry(sa.name);
    if (kept.gone.includes(sa.uniqueId)) return false;
    note(sa, kept);
    if (kept.upSince !== undefined) return false;
    kept.ups += 1;
    kept.upSince = now - (sa.installedSeconds ?? 0) * 1000;
    return true;
  };

  /** It is down once no SA is left but those that a renewal has replaced. */
  const leave = (child: string, kept: Entry, now: number): TunnelDown | undefined => {
    if (kept.upSince === undefined || [...kept.sas.values()].some(({ isRetired }) => !isRetired))
      return undefined;
    const upMilliseconds = Math.max(0, now - kept.upSince);
    delete kept.upSince;
    kept.downSince = now;
    return { child, upMilliseconds };
  };

  return {
    up,
    down: (sa, now) => {
      const kept = entry(sa.name);
      if (!kept.sas.has(sa.uniqueId)) return undefined;
      note(sa, kept);
      fold(kept, sa.uniqueId);
      return leave(sa.name, kept, now);
    },
    rekeyed: (before, after, now) => {
      up(after, now);
      const kept = entry(before.name);
      kept.sas.set(before.uniqueId, { ...note(before, kept), isRetired: true });
      kept.rekeys += 1;
    },
    told: () => told,
    seen: (sas, now, toldBefore = told) => {
      const listed = sas.flatMap(({ children }) => children.filter(isInstalled));
      const keys = new Set(listed.map((sa) => keyOf(sa.name, sa.uniqueId)));
      const came = listed.filter((sa) => up(sa, now));
      const went = [...entries].flatMap(([child, kept]) => {
        for (const [uniqueId, sa] of [...kept.sas]) {
          if (!keys.has(keyOf(child, uniqueId)) && sa.told <= toldBefore) fold(kept, uniqueId);
        }
        return leave(child, kept, now) ?? [];
      });
      return { came, went };
    },
    daemonEnded: (now) =>
      [...entries].flatMap(([child, kept]) => {
        for (const uniqueId of [...kept.sas.keys()]) fold(kept, uniqueId);
        kept.gone.length = 0;
        return leave(child, kept, now) ?? [];
      }),
    of: (child) => {
      const { past, sas, rekeys, ups, upSince, downSince } = entries.get(child) ?? absent;
      const since = upSince ?? downSince;
      return {
        traffic: sum([past, ...sas.values()]),
        rekeys,
        ups,
        isUp: upSince !== undefined,
        ...(since === undefined ? {} : { since }),
      };
    },
  };
};

type Entry = {
  /** Of SAs that are gone. */
  past: Traffic;
  readonly sas: Map<string, Sa>;
  /** The last SAs that went: a listing that was on its way then still has them. */
  readonly gone: string[];
  rekeys: number;
  ups: number;
  upSince?: number;
  downSince?: number;
};

/** charon says nothing of the end of an SA that a renewal has replaced; until then it may still carry packets. */
type Sa = Traffic & { readonly isRetired: boolean; readonly told: number };

const goneKept = 16;

const keyOf = (child: string, uniqueId: string): string => `${uniqueId} ${child}`;

const nothing: Traffic = { bytesIn: 0, bytesOut: 0, packetsIn: 0, packetsOut: 0 };

const absent: Entry = { past: nothing, sas: new Map(), gone: [], rekeys: 0, ups: 0 };

const sum = (all: readonly Traffic[]): Traffic => ({
  bytesIn: all.reduce((total, { bytesIn }) => total + bytesIn, 0),
  bytesOut: all.reduce((total, { bytesOut }) => total + bytesOut, 0),
  packetsIn: all.reduce((total, { packetsIn }) => total + packetsIn, 0),
  packetsOut: all.reduce((total, { packetsOut }) => total + packetsOut, 0),
});

const larger = (one: Traffic, other: Traffic): Traffic => ({
  bytesIn: Math.max(one.bytesIn, other.bytesIn),
  bytesOut: Math.max(one.bytesOut, other.bytesOut),
  packetsIn: Math.max(one.packetsIn, other.packetsIn),
  packetsOut: Math.max(one.packetsOut, other.packetsOut),
});
