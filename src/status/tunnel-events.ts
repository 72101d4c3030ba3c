import type { CharonLine } from "../observe/charon-line.ts";
import type { Log } from "../observe/log.ts";
import type { ViciClient } from "../vici/client.ts";
import { type Message, textOf } from "../vici/message.ts";
import { type ChildSaReading, type IkeSaReading, readIkeSas, readRekeyedChildren } from "../vici/readings.ts";
import { createDownReasons } from "./down-reasons.ts";
import { createLedger, type Ledger, type TunnelDown } from "./ledger.ts";
import type { Listing } from "./listing.ts";

export type TunnelEventsOptions = {
  readonly log: Log;
  /** What the variables call a connection of charon's. */
  readonly nameOf: (ofCharon: string) => string;
  readonly isStopping: () => boolean;
};

/** What has come, gone and got new keys, over all lives of charon. Each is logged as a single record. */
export type TunnelEvents = {
  readonly ledger: Ledger;
  /** When both ends last agreed on keys, by connection of charon; milliseconds since 1970. */
  readonly handshakes: ReadonlyMap<string, number>;
  /** How often IKE SAs got new keys, by connection of charon. */
  readonly ikeRekeys: ReadonlyMap<string, number>;
  readonly subscribe: (vici: ViciClient) => Promise<void>;
  /** Takes in a listing that was asked for when the ledger had told `told`. */
  readonly seen: (listed: Listing, told: ReturnType<Ledger["told"]>) => void;
  readonly noteLine: (line: CharonLine) => void;
  readonly daemonEnded: () => void;
};

export const createTunnelEvents = ({ log, nameOf, isStopping }: TunnelEventsOptions): TunnelEvents => {
  const ledger = createLedger();
  const downReasons = createDownReasons();
  const handshakes = new Map<string, number>();
  const ikeRekeys = new Map<string, number>();

  const cameUp = (child: ChildSaReading, ike: IkeSaReading): void =>
    log.info(
      {
        event: "tunnel-up",
        connection: nameOf(ike.connection),
        child: child.name,
        peer: ike.remote.address,
        localNetworks: child.localNetworks,
        remoteNetworks: child.remoteNetworks,
        encryption: child.algorithms.encryption,
        inUdp: child.inUdp,
      },
      "tunnel up",
    );

  const wentDown = ({ child, upMilliseconds }: TunnelDown, ofCharon: string, reason: string): void => {
    const connection = nameOf(ofCharon);
    const upSeconds = Math.round(upMilliseconds / 1000);
    log.warn({ event: "tunnel-down", connection, child, reason, upSeconds }, "tunnel down");
  };

  const shakenHands = ({ connection }: IkeSaReading): void => void handshakes.set(connection, Date.now());

  /** Of SAs that came up before their events were asked for. charon counts whole seconds. */
  const catchUpHandshake = ({ connection, establishedSeconds, children }: IkeSaReading): void => {
    const seconds = [establishedSeconds, ...children.map(({ installedSeconds }) => installedSeconds)];
    const at = Date.now() - Math.min(...seconds.map((age) => age ?? Number.POSITIVE_INFINITY)) * 1000;
    if (at > (handshakes.get(connection) ?? 0) + 2_000) handshakes.set(connection, at);
  };

  const onChildUpdown = (message: Message): void => {
    const isUp = textOf(message, "up") === "yes";
    for (const ike of readIkeSas(message)) {
      if (isUp) shakenHands(ike);
      for (const child of ike.children) {
        if (isUp) {
          if (ledger.up(child, Date.now())) cameUp(child, ike);
          continue;
        }
        const down = ledger.down(child, Date.now());
        const reason = isStopping() ? "stopping" : downReasons.of(Number(ike.uniqueId), child);
        if (down !== undefined) wentDown(down, ike.connection, reason);
      }
    }
  };

  const onChildRekey = (message: Message): void => {
    const [ike] = readIkeSas(message);
    if (ike === undefined) return;
    shakenHands(ike);
    const connection = nameOf(ike.connection);
    for (const { before, after } of readRekeyedChildren(message)) {
      ledger.rekeyed(before, after, Date.now());
      const { name: child, spiIn, spiOut } = after;
      log.info({ event: "tunnel-rekeyed", connection, child, spiIn, spiOut }, "tunnel has new keys");
    }
  };

  const onIkeUpdown = (message: Message): void => {
    if (textOf(message, "up") === "yes") for (const ike of readIkeSas(message)) shakenHands(ike);
  };

  const onIkeRekey = (message: Message): void => {
    for (const ike of readIkeSas(message)) {
      shakenHands(ike);
      ikeRekeys.set(ike.connection, (ikeRekeys.get(ike.connection) ?? 0) + 1);
      log.info({ event: "ike-rekeyed", connection: nameOf(ike.connection) }, "IKE SA has new keys");
    }
  };

  return {
    ledger,
    handshakes,
    ikeRekeys,
    subscribe: async (vici) => {
      await vici.subscribe("child-updown", afterLines(onChildUpdown));
      await vici.subscribe("child-rekey", afterLines(onChildRekey));
      await vici.subscribe("ike-updown", afterLines(onIkeUpdown));
      await vici.subscribe("ike-rekey", afterLines(onIkeRekey));
    },
    seen: ({ sas }, told) => {
      for (const ike of sas) catchUpHandshake(ike);
      const { came, went } = ledger.seen(sas, Date.now(), told);
      for (const down of went) wentDown(down, down.child, "unknown");
      const up = new Set(came);
      for (const ike of sas) for (const child of ike.children) if (up.has(child)) cameUp(child, ike);
    },
    noteLine: downReasons.note,
    daemonEnded: () => {
      for (const down of ledger.daemonEnded(Date.now())) wentDown(down, down.child, "daemon-ended");
    },
  };
};

/** charon has written the lines that tell why before it raises an event; in the next turn they are read. */
const afterLines =
  (listener: (message: Message) => void) =>
  (message: Message): void =>
    void setImmediate(listener, message);
