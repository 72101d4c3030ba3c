import type { ViciClient } from "./client.ts";
import {
  type IkeSaReading,
  type LoadedConnection,
  readIkeSas,
  readLoadedConnections,
  readPolicyChildren,
} from "./readings.ts";

/** All IKE SAs, with their CHILD SAs, of which charon asks the kernel for its counters. */
export const listIkeSas = async (vici: ViciClient): Promise<readonly IkeSaReading[]> => {
  const sas: IkeSaReading[] = [];
  for await (const message of vici.stream("list-sas", "list-sa")) sas.push(...readIkeSas(message));
  return sas;
};

/** Of every connection, whichever way it was loaded. */
export const listLoadedConnections = async (vici: ViciClient): Promise<readonly LoadedConnection[]> => {
  const loaded: LoadedConnection[] = [];
  for await (const message of vici.stream("list-conns", "list-conn"))
    loaded.push(...readLoadedConnections(message));
  return loaded;
};

/** Names of the CHILD SAs that a packet would bring up. */
export const listTrappedChildren = async (vici: ViciClient): Promise<ReadonlySet<string>> => {
  const trapped = new Set<string>();
  for await (const message of vici.stream("list-policies", "list-policy", { trap: "yes" }))
    for (const child of readPolicyChildren(message)) trapped.add(child);
  return trapped;
};
