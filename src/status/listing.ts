import type { ViciClient } from "../vici/client.ts";
import { listIkeSas, listLoadedConnections, listTrappedChildren } from "../vici/listings.ts";
import type { IkeSaReading, LoadedConnection } from "../vici/readings.ts";

/** All that charon holds. */
export type Listing = {
  readonly loaded: readonly LoadedConnection[];
  readonly sas: readonly IkeSaReading[];
  /** Names of the CHILD SAs that a packet would bring up. */
  readonly trapped: ReadonlySet<string>;
};

export const nothingListed: Listing = { loaded: [], sas: [], trapped: new Set() };

/** Undefined when charon does not answer. */
export const listEverything = async (vici: ViciClient): Promise<Listing | undefined> => {
  try {
    const loaded = await listLoadedConnections(vici);
    const trapped = await listTrappedChildren(vici);
    return { loaded, trapped, sas: await listIkeSas(vici) };
  } catch {
    return undefined;
  }
};
