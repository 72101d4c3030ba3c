import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";
import type { Gateway } from "../gateway/gateway.ts";
import type { CharonLine } from "../observe/charon-line.ts";
import type { Diagnostician, Finding } from "../observe/diagnostician.ts";
import type { Log } from "../observe/log.ts";
import { connectVici, type ViciClient } from "../vici/client.ts";
import { buildStatus, isLive, type Observed } from "./build-status.ts";
import { createFailureRecord } from "./failure-record.ts";
import { type Listing, listEverything, nothingListed } from "./listing.ts";
import type { GatewayStatus } from "./status-schema.ts";
import { createTunnelEvents } from "./tunnel-events.ts";

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
  const { log, planned } = options;
  const startedAt = Date.now();
  let daemon: Observed["daemon"] = { state: "starting", since: startedAt, restarts: 0 };
  let lives = 0;
  let followedLife = 0;
  let silentSince: number | undefined;
  let vici: ViciClient | undefined;
  let listing: Promise<Listing | undefined> | undefined;
  const failures = createFailureRecord(options.diagnostician);
  const tunnels = createTunnelEvents({
    log,
    nameOf: createNameOf(() => planned().gateway),
    isStopping: () => daemon.state === "stopping",
  });

  /** One connection for events and listings, until charon is gone; the one that commands charon belongs to others. */
  const follow = async (life: number): Promise<void> => {
    while (life === lives && daemon.state === "running") {
      try {
        const connection = await connectVici(options.socket, { unref: true, timeoutMs: answerMilliseconds });
        if (life !== lives) return connection.close();
        await tunnels.subscribe(connection);
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

  /** Undefined while charon does not answer. Whoever asks meanwhile gets the same. */
  const look = (): Promise<Listing | undefined> => {
    listing ??= lookOnce().finally(() => {
      listing = undefined;
    });
    return listing;
  };

  const lookOnce = async (): Promise<Listing | undefined> => {
    const told = tunnels.ledger.told();
    const listed = vici && (await listEverything(vici));
    await nextTurn();
    if (listed !== undefined) tunnels.seen(listed, told);
    return listed;
  };

  const observe = async (): Promise<Observed> => {
    const listed = daemon.state === "running" ? await look() : undefined;
    const isSilent = daemon.state === "running" && listed === undefined;
    silentSince = isSilent ? (silentSince ?? Date.now()) : undefined;
    const { gateway, manual } = planned();
    return {
      now: Date.now(),
      version: options.version,
      startedAt,
      dataplane: options.dataplane,
      manual,
      gateway,
      daemon: silentSince === undefined ? daemon : silent(silentSince),
      ...(listed ?? nothingListed),
      ledger: tunnels.ledger,
      handshakes: tunnels.handshakes,
      ikeRekeys: tunnels.ikeRekeys,
      failures: failures.lasting(),
      failureCounts: failures.counts(),
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
      tunnels.daemonEnded();
    },
    stopping: () => {
      daemon = { ...daemon, state: "stopping", since: Date.now() };
    },
    note: (line, finding) => {
      tunnels.noteLine(line);
      if (finding !== undefined) failures.note(finding);
    },
    isLive: () => isLive(daemon, Date.now()),
    status: async () => buildStatus(await observe()),
  };
};

/** What the variables call a connection of charon's, which has those of IKEv1 under the names of their CHILD SAs too. */
const createNameOf = (planned: () => Gateway): ((ofCharon: string) => string) => {
  let known: Gateway | undefined;
  let names: ReadonlyMap<string, string> = new Map();
  return (ofCharon) => {
    const gateway = planned();
    if (gateway !== known) {
      known = gateway;
      names = new Map(
        gateway.connections.flatMap(({ name, children }) => [
          ...children.map((child) => [child.name, name] as const),
          [name, name] as const,
        ]),
      );
    }
    return names.get(ofCharon) ?? ofCharon;
  };
};

const answerMilliseconds = 3_000;
const reconnectMilliseconds = 500;
