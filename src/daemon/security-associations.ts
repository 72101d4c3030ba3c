import type { Message, ViciClient } from "../vici/client.ts";

/** An IKE SA as charon lists it, with its CHILD SAs; only what supervision needs. */
export type IkeSa = {
  readonly connection: string;
  readonly uniqueId: string;
  /** `CONNECTING`, `ESTABLISHED`, `REKEYING`, `DELETING`, … */
  readonly state: string;
  readonly children: readonly { readonly name: string; readonly state: string }[];
};

export const listIkeSas = async (vici: ViciClient): Promise<readonly IkeSa[]> => {
  const sas: IkeSa[] = [];
  for await (const message of vici.stream("list-sas", "list-sa")) {
    for (const [connection, sa] of sections(message)) {
      sas.push({
        connection,
        uniqueId: text(sa, "uniqueid"),
        state: text(sa, "state"),
        children: sections(section(sa, "child-sas")).map(([, child]) => ({ name: text(child, "name"), state: text(child, "state") })),
      });
    }
  }
  return sas;
};

/** Names of the CHILD SA configurations that charon has loaded. */
export const listLoadedChildren = async (vici: ViciClient): Promise<ReadonlySet<string>> => {
  const names = new Set<string>();
  for await (const message of vici.stream("list-conns", "list-conn")) {
    for (const [, connection] of sections(message)) {
      for (const [name] of sections(section(connection, "children"))) names.add(name);
    }
  }
  return names;
};
