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
  readonly of: (saId: number, child: { readonly spiIn: string; readonly spiOut: string }) => DownReason;
};

export const createDownReasons = (): DownReasons => {
  const ofIkeSas = new Map<number, DownReason>();
  const deletes = new Map<string, number>();
  let noted = 0;
  return {
    note: (line) => {
      if (line.kind !== "charon" || line.saId === undefined || line.level > 1) return;
      const spi = deleteOfChild.exec(line.message);
      if (spi !== null) remember(deletes, `${spi[1]} ${spi[2]}`, ++noted);
      const reason = messages.find(({ text }) => text.test(line.message))?.reason;
      if (reason !== undefined) remember(ofIkeSas, line.saId, reason);
    },
    of: (saId, { spiIn, spiOut }) => {
      // Each end names the SPI that it receives with, and answers a DELETE with one: the first tells who began.
      const received = deletes.get(`received ${spiOut}`) ?? Number.POSITIVE_INFINITY;
      const sent = deletes.get(`sending ${spiIn}`) ?? Number.POSITIVE_INFINITY;
      return received < sent ? "peer-deleted" : (ofIkeSas.get(saId) ?? "closed-here");
    },
  };
};

/** Of many only the latest are kept. */
const remember = <Key, Value>(known: Map<Key, Value>, key: Key, value: Value): void => {
  known.delete(key);
  known.set(key, value);
  if (known.size > kept) for (const [oldest] of known.entries().take(1)) known.delete(oldest);
};

const kept = 1024;

// Messages of strongSwan's src/libcharon/sa: tasks of delete and reauthentication, task managers, ike_sa_manager.c.

const deleteOfChild = /^(received|sending) DELETE for \S+ CHILD_SA with SPI ([0-9a-f]+)$/;

const messages: readonly { readonly text: RegExp; readonly reason: DownReason }[] = [
  { text: /^received DELETE for IKE_SA/, reason: "peer-deleted" },
  { text: /^giving up after \d+ retransmits/, reason: "peer-silent" },
  { text: /^DPD check timed out/, reason: "peer-silent" },
  { text: /^destroying duplicate IKE_SA/, reason: "peer-began-anew" },
  { text: /^reauthenticating IKE_SA/, reason: "reauthentication" },
  { text: /^initiator did not reauthenticate as requested/, reason: "reauthentication" },
];
