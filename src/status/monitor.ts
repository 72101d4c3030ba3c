import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";
import type { Gateway } from "../gateway/gateway.ts";
import type { CharonLine } from "../observe/charon-line.ts";
import type { Diagnostician, Finding } from "../observe/diagnostician.ts";
import type { Log } from "../observe/log.ts";
import { connectVici, type ViciClient } from "../vici/client.ts";
import { type Message, textOf } from "../vici/message.ts";
import { buildStatus, isLive, type Observed } from "./build-status.ts";
import { createDownReasons } from "./down-reasons.ts";
import { createLedger, type TunnelDown } from "./ledger.ts";
import {
  type ChildSaReading,
  type IkeSaReading,
  type LoadedConnection,
  readIkeSas,
  readLoadedConnections,
  readPolicyChildren,
  readRekeyedChildren,
} from "./readings.ts";
import type { GatewayStatus } from "./status-schema.ts";

export type MonitorOptions = {
  readonly log: Log;
  /** charon's vici socket. */
  readonly socket: string;
  readonly version: string;
  readonly dataplane: Observed["dataplane"];
  /** What the variables say at this moment; a reload changes it. */
  readonly planned: () => { readonly gateway: Gateway; readonly manual: boolean };
  readonly diagnostician: Diagnostician;
};

/** Follows what charon does, over all of its lives, and tells it. */
export type Monitor = {
  readonly daemonStarted: (pid: number) => void;
  readonly daemonEnded: () => void;
  readonly stopping: () => void;
  /** Takes in a line of charon, with what it means. */
  readonly note: (line: CharonLine, finding: Finding | undefined) => void;
  readonly isLive: () => boolean;
  readonly status: () => Promise<GatewayStatus>;
};

export const createMonitor = (options: MonitorOptions): Monitor => {
  const { log, diagnostician } = options;
  const startedAt = Date.now();
  const ledger = createLedger();
  const downReasons = createDownReasons();
  const handshakes = new Map<string, number>();
  const failuresSince = new WeakMap<Finding, number>();
  // A name that does not resolve is found before its connection is known, and is another finding from then on.
  const causesSince = new Map<Finding["cause"], number>();
  const failureCounts = new Map<string, { readonly finding: Finding; count: number }>();
  const ikeRekeys = new Map<string, number>();
  let daemon: Observed["daemon"] = { state: "starting", since: startedAt, restarts: 0 };
  let lives = 0;
  let followedLife = 0;
  let silentSince: number | undefined;
  let vici: ViciClient | undefined;
  let listing: Promise<Listing | undefined> | undefined;

  /** As the variables call it; charon has an IKEv1 connection under the names of its CHILD SAs too. */
  const nameOf = (ofCharon: string): string =>
    options
      .planned()
      .gateway.connections.find(
        ({ name, children }) => name === ofCharon || children.some((child) => child.name === ofCharon),
      )?.name ?? ofCharon;

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

  const wentDown = ({ child, upMilliseconds }: TunnelDown, connection: string, reason: string): void =>
    log.warn(
      {
        event: "tunnel-down",
        connection: nameOf(connection),
        child,
        reason,
        upSeconds: Math.round(upMilliseconds / 1000),
      },
      "tunnel down",
    );

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
        const reason = daemon.state === "stopping" ? "stopping" : downReasons.of(Number(ike.uniqueId), child);
        if (down !== undefined) wentDown(down, ike.connection, reason);
      }
    }
  };

  const onChildRekey = (message: Message): void => {
    const [ike] = readIkeSas(message);
    if (ike === undefined) return;
    shakenHands(ike);
    for (const { before, after } of readRekeyedChildren(message)) {
      ledger.rekeyed(before, after, Date.now());
      const { name: child, spiIn, spiOut } = after;
      log.info(
        { event: "tunnel-rekeyed", connection: nameOf(ike.connection), child, spiIn, spiOut },
        "tunnel has new keys",
      );
    }
  };

  const onIkeRekey = (message: Message): void => {
    for (const ike of readIkeSas(message)) {
      shakenHands(ike);
      ikeRekeys.set(ike.connection, (ikeRekeys.get(ike.connection) ?? 0) + 1);
      log.info({ event: "ike-rekeyed", connection: nameOf(ike.connection) }, "IKE SA has new keys");
    }
  };

  const onIkeUpdown = (message: Message): void => {
    if (textOf(message, "up") === "yes") for (const ike of readIkeSas(message)) shakenHands(ike);
  };

  /** One connection for events and listings, until charon is gone; the one that commands charon belongs to others. */
  const follow = async (life: number): Promise<void> => {
    while (life === lives && daemon.state === "running") {
      try {
        const connection = await connectVici(options.socket, { unref: true, timeoutMs: answerMilliseconds });
        if (life !== lives) return connection.close();
        await connection.subscribe("child-updown", afterLines(onChildUpdown));
        await connection.subscribe("child-rekey", afterLines(onChildRekey));
        await connection.subscribe("ike-updown", afterLines(onIkeUpdown));
        await connection.subscribe("ike-rekey", afterLines(onIkeRekey));
        const { version } = await connection.request("version");
        if (typeof version === "string") daemon = { ...daemon, version };
        vici = connection;
        followedLife = life;
        await look();
        await connection.closed;
      } catch (error) {
        log.debug({ reason: String(error) }, "charon cannot be watched");
      }
      vici = undefined;
      await sleep(reconnectMilliseconds, undefined, { ref: false });
    }
  };

  /** All that charon holds; undefined while it does not answer. Whoever asks meanwhile gets the same. */
  const look = (): Promise<Listing | undefined> => {
    listing ??= lookOnce().finally(() => {
      listing = undefined;
    });
    return listing;
  };

  const lookOnce = async (): Promise<Listing | undefined> => {
    const told = ledger.told();
    const listed = await list(vici);
    await nextTurn();
    if (listed === undefined) return undefined;
    for (const ike of listed.sas) catchUpHandshake(ike);
    const { came, went } = ledger.seen(listed.sas, Date.now(), told);
    for (const down of went) wentDown(down, down.child, "unknown");
    for (const ike of listed.sas)
      for (const child of ike.children) if (came.includes(child)) cameUp(child, ike);
    return listed;
  };

  const observe = async (): Promise<Observed> => {
    const listed = daemon.state === "running" ? await look() : undefined;
    const isSilent = daemon.state === "running" && listed === undefined;
    silentSince = isSilent ? (silentSince ?? Date.now()) : undefined;
    const { gateway, manual } = options.planned();
    return {
      now: Date.now(),
      version: options.version,
      startedAt,
      dataplane: options.dataplane,
      manual,
      gateway,
      daemon: silentSince === undefined ? daemon : silent(silentSince),
      ...(listed ?? nothing),
      ledger,
      handshakes,
      ikeRekeys,
      failureCounts: [...failureCounts.values()],
      failures: diagnostician.active().map((finding) => ({
        finding,
        since: failuresSince.get(finding) ?? causesSince.get(finding.cause) ?? startedAt,
      })),
    };
  };

  /** One that was never heard of is not hung. */
  const silent = (since: number): Observed["daemon"] =>
    followedLife === lives ? { ...daemon, state: "unresponsive", since } : { ...daemon, state: "starting" };

  return {
    daemonStarted: (pid) => {
      lives += 1;
      daemon = { state: "running", since: Date.now(), pid, restarts: lives - 1 };
      void follow(lives);
    },
    daemonEnded: () => {
      if (daemon.state === "running")
        daemon = { state: "starting", since: Date.now(), restarts: daemon.restarts };
      vici?.close();
      for (const down of ledger.daemonEnded(Date.now())) wentDown(down, down.child, "daemon-ended");
    },
    stopping: () => {
      daemon = { ...daemon, state: "stopping", since: Date.now() };
    },
    note: (line, finding) => {
      downReasons.note(line);
      if (finding === undefined) return;
      failuresSince.set(finding, Date.now());
      causesSince.set(finding.cause, Date.now());
      const { connection, peer = "", ...anonymous } = finding;
      const ofPeer = `${finding.cause} ${connection ?? peer}`;
      const isKept = failureCounts.has(ofPeer) || failureCounts.size < countsKept;
      const key = isKept ? ofPeer : finding.cause;
      const counted = failureCounts.get(key) ?? { finding: isKept ? finding : anonymous, count: 0 };
      counted.count += 1;
      failureCounts.set(key, counted);
    },
    isLive: () => isLive(daemon, Date.now()),
    status: async () => buildStatus(await observe()),
  };
};

/** charon has written the lines that tell why before it raises an event; in the next turn they are read. */
const afterLines =
  (listener: (message: Message) => void) =>
  (message: Message): void =>
    void setImmediate(listener, message);

const answerMilliseconds = 3_000;
const reconnectMilliseconds = 500;

/** Anyone on the network can fail at our port; what is beyond is counted by cause alone. */
const countsKept = 1024;

type Listing = {
  readonly loaded: readonly LoadedConnection[];
  readonly sas: readonly IkeSaReading[];
  readonly trapped: ReadonlySet<string>;
};

const nothing: Listing = { loaded: [], sas: [], trapped: new Set() };

const list = async (vici: ViciClient | undefined): Promise<Listing | undefined> => {
  if (vici === undefined) return undefined;
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
    // Whoever asked is told that charon is silent; `follow` connects again.
    return undefined;
  }
};
