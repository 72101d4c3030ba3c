import type { ViciClient } from "../vici/client.ts";
import {
  type IkeSaReading,
  type LoadedConnection,
  readIkeSas,
  readLoadedConnections,
  readPolicyChildren,
} from "./readings.ts";

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
  const loaded: LoadedConnection[] = [];
  const sas: IkeSaReading[] = [];
  const trapped = new Set<string>();
  try {
    for await (const message of vici.stream("list-conns", "list-conn"))
      loaded.push(...readLoadedConnections(message));
    for await (const message of vici.stream("list-policies", "list-policy", { trap: "yes" }))
      for (const child of readPolicyChildren(message)) trapped.add(child);
    for await (const message of vici.stream("list-sas", "list-sa")) sas.push(...readIkeSas(message));
    return { loaded, sas, trapped };
  } catch {
    return undefined;
  }
};
