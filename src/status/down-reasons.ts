import type { CharonLine } from "../observe/charon-line.ts";

/** Why a tunnel went down, in a word that is stable. */
export type DownReason =
  | "peer-deleted"
  | "peer-silent"
  | "peer-began-anew"
  | "reauthentication"
  | "closed-here";

/** Remembers from charon's lines why an IKE SA, or a CHILD SA over it, ends; charon's events do not say. */
export type DownReasons = {
  readonly note: (line: CharonLine) => void;
  readonly of: (saId: number) => DownReason;
};

export const createDownReasons = (): DownReasons => {
  const reasons = new Map<number, DownReason>();
  return {
    note: (line) => {
      if (line.kind !== "charon" || line.saId === undefined || line.level > 1) return;
      const reason = messages.find(({ text }) => text.test(line.message))?.reason;
      if (reason === undefined) return;
      reasons.delete(line.saId);
      reasons.set(line.saId, reason);
      if (reasons.size > saIdsKept) for (const [oldest] of reasons.entries().take(1)) reasons.delete(oldest);
    },
    of: (saId) => reasons.get(saId) ?? "closed-here",
  };
};

const saIdsKept = 1024;

/** Messages of strongSwan's src/libcharon/sa (ikev1/ikev2 task managers, tasks of delete and reauthentication). */
const messages: readonly { readonly text: RegExp; readonly reason: DownReason }[] = [
  { text: /^received DELETE for (?:IKE_SA|(?:\S+ )?CHILD_SA)/, reason: "peer-deleted" },
  { text: /^giving up after \d+ retransmits/, reason: "peer-silent" },
  { text: /^DPD check timed out/, reason: "peer-silent" },
  { text: /^destroying duplicate IKE_SA/, reason: "peer-began-anew" },
  { text: /^reauthenticating IKE_SA/, reason: "reauthentication" },
  { text: /^initiator did not reauthenticate as requested/, reason: "reauthentication" },
];
