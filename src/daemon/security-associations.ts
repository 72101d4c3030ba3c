import type { ViciClient } from "../vici/client.ts";
import { listOf, sectionOf, sectionsOf, textOf } from "../vici/message.ts";

/** An IKE SA as charon lists it, with its CHILD SAs; only what supervision needs. */
export type IkeSa = {
  readonly connection: string;
  readonly uniqueId: string;
  /** `CONNECTING`, `ESTABLISHED`, `REKEYING`, `DELETING`, … */
  readonly state: string;
  /** Whether the peer has sent anything: only then can it hold the SA for established. */
  readonly peerAnswered: boolean;
  /** Whether charon is bringing up the SA or, over it, a CHILD SA that it does not list yet. */
  readonly negotiating: boolean;
  readonly children: readonly { readonly name: string; readonly state: string }[];
};

export const listIkeSas = async (vici: ViciClient): Promise<readonly IkeSa[]> => {
  const sas: IkeSa[] = [];
  for await (const message of vici.stream("list-sas", "list-sa")) {
    for (const [connection, sa] of sectionsOf(message)) {
      sas.push({
        connection,
        uniqueId: textOf(sa, "uniqueid") ?? "",
        state: textOf(sa, "state") ?? "",
        peerAnswered: textOf(sa, "initiator") !== "yes" || !/^0*$/.test(textOf(sa, "responder-spi") ?? ""),
        negotiating:
          textOf(sa, "state") === "CONNECTING" ||
          [...listOf(sa, "tasks-active"), ...listOf(sa, "tasks-queued")].some((task) => childTasks.has(task)),
        children: sectionsOf(sectionOf(sa, "child-sas")).map(([, child]) => ({
          name: textOf(child, "name") ?? "",
          state: textOf(child, "state") ?? "",
        })),
      });
    }
  }
  return sas;
};

/** How IKEv2 and IKEv1 begin one (strongSwan src/libcharon/sa/task.c, task_type_names). */
const childTasks: ReadonlySet<string> = new Set(["CHILD_CREATE", "QUICK_MODE"]);

/** Names of the CHILD SA configurations that charon has loaded. */
export const listLoadedChildren = async (vici: ViciClient): Promise<ReadonlySet<string>> => {
  const names = new Set<string>();
  for await (const message of vici.stream("list-conns", "list-conn")) {
    for (const [, connection] of sectionsOf(message)) {
      for (const [name] of sectionsOf(sectionOf(connection, "children"))) names.add(name);
    }
  }
  return names;
};
