import type { Gateway } from "../gateway/gateway.ts";
import { interfaceNames } from "../gateway/virtual-interface.ts";
import { endpointText } from "../ipsec/address.ts";
import type { Finding } from "../observe/diagnostician.ts";
import {
  type ChildSaReading,
  type EndReading,
  type IkeSaReading,
  isInstalled,
  type LoadedConnection,
  present,
} from "../vici/readings.ts";
import { certificatesOf } from "./certificates.ts";
import { type ConnectionView, viewConnections } from "./connection-views.ts";
import type { Ledger } from "./ledger.ts";
import type { GatewayStatus, TunnelState } from "./status-schema.ts";

/** What is known of the gateway at one moment; times in milliseconds since 1970. */
export type Observed = {
  readonly now: number;
  readonly version: string;
  readonly startedAt: number;
  readonly dataplane: "kernel" | "userspace";
  readonly manual: boolean;
  readonly gateway: Pick<Gateway, "connections" | "virtualInterfaces">;
  readonly daemon: {
    readonly state: GatewayStatus["daemon"]["state"];
    readonly since: number;
    readonly pid?: number;
    readonly version?: string;
    readonly restarts: number;
  };
  /** As charon lists them; empty while it does not run. */
  readonly loaded: readonly LoadedConnection[];
  readonly sas: readonly IkeSaReading[];
  /** Names of the CHILD SAs that a packet would bring up. */
  readonly trapped: ReadonlySet<string>;
  readonly ledger: Ledger;
  /** By connection of charon. */
  readonly handshakes: ReadonlyMap<string, number>;
  /** How often IKE SAs got new keys, by connection of charon. */
  readonly ikeRekeys: ReadonlyMap<string, number>;
  readonly failures: readonly LastingFailure[];
  /** How often failures began, however alike. */
  readonly failureCounts: readonly { readonly finding: Finding; readonly count: number }[];
};

export type LastingFailure = { readonly finding: Finding; readonly since: number };

export const buildStatus = (observed: Observed): GatewayStatus => {
  const views = viewConnections(observed);
  const concerned = createConcerned(views);
  const failures = observed.failures
    .filter(({ finding }) => isOfNow(finding, concerned(finding)))
    .map((failure) => buildFailure(failure, concerned(failure.finding)?.name));
  const known: Known = {
    ...observed,
    loadedChildren: new Set(observed.loaded.flatMap(({ children }) => children.map(({ name }) => name))),
    interfaceName: interfaceNames(observed.gateway.virtualInterfaces),
  };
  const connections = views.map((view) => buildConnection(view, known));
  const reasons = reasonsAgainst(observed, connections, failures);
  const { daemon, now } = observed;
  return {
    version: 1,
    gateway: {
      version: observed.version,
      startedAt: iso(observed.startedAt),
      dataplane: observed.dataplane,
      configuration: observed.manual ? "manual" : "variables",
    },
    daemon: {
      state: daemon.state,
      since: iso(daemon.since),
      ...present({ pid: daemon.pid, version: daemon.version }),
      restarts: daemon.restarts,
    },
    live: isLive(daemon, now),
    ready: reasons.length === 0,
    reasons,
    connections,
    failures,
    failureCounts: addUp(
      observed.failureCounts.map(({ finding, count }) => ({
        cause: finding.cause,
        ...present({ connection: concerned(finding)?.name ?? finding.connection }),
        count,
      })),
    ),
  };
};

/** Whether the gateway does its work, whatever the peer does. A daemon that is not up by then will not come up by waiting. */
export const isLive = ({ state, since }: Observed["daemon"], now: number): boolean =>
  state === "running" || state === "stopping" || now - since < 60_000;

/** With what is looked up for every connection. */
type Known = Observed & {
  /** Names of the CHILD SAs that are loaded. */
  readonly loadedChildren: ReadonlySet<string>;
  readonly interfaceName: ReturnType<typeof interfaceNames>;
};

type ConnectionStatus = GatewayStatus["connections"][number];
type ChildStatus = ConnectionStatus["children"][number];

const buildConnection = (view: ConnectionView, known: Known): ConnectionStatus => {
  const { sas } = view;
  const sa = sas.find(({ children }) => children.some(isInstalled)) ?? sas.at(-1);
  const children = view.children.map((child) => buildChild(child, view, known));
  const certificates = certificatesOf(view.configured?.authentication);
  const handshakes = [...view.names].flatMap((name) => known.handshakes.get(name) ?? []);
  return {
    name: view.name,
    state: connectionState(children),
    local: end(sa?.local, view, "local"),
    remote: end(sa?.remote, view, "remote"),
    ...(handshakes.length === 0 ? {} : { lastHandshakeAt: iso(Math.max(...handshakes)) }),
    rekeys: [...view.names].reduce((total, name) => total + (known.ikeRekeys.get(name) ?? 0), 0),
    ...(sa === undefined ? {} : { ikeSa: buildIkeSa(sa, known.now) }),
    ...(certificates.length === 0 ? {} : { certificates: [...certificates] }),
    children,
  };
};

const connectionState = (children: readonly ChildStatus[]): TunnelState => {
  const states = children.map(({ state }) => state);
  return worstFirst.find((state) => states.includes(state)) ?? "not-loaded";
};

const worstFirst = [
  "not-loaded",
  "down",
  "connecting",
  "waiting-for-peer",
  "waiting-for-traffic",
  "up",
] as const satisfies readonly TunnelState[];

const buildChild = (
  child: ConnectionView["children"][number],
  view: ConnectionView,
  known: Known,
): ChildStatus => {
  const { ledger, now, interfaceName } = known;
  const installed = view.sas.flatMap(({ children }) =>
    children.filter((sa) => sa.name === child.name && isInstalled(sa)),
  );
  // The latest, when a renewal has just replaced one.
  const sa = installed.find(({ state }) => state === "INSTALLED") ?? installed[0];
  const { traffic, ups, rekeys, isUp, since } = ledger.of(child.name);
  const state = childState(child.name, sa, view, known);
  const configured = view.configured?.children.find(({ name }) => name === child.name);
  return {
    name: child.name,
    state,
    ...(since === undefined || isUp !== (state === "up") ? {} : { since: iso(since) }),
    localNetworks: [...(sa?.localNetworks ?? child.localNetworks)],
    remoteNetworks: [...(sa?.remoteNetworks ?? child.remoteNetworks)],
    ...present({ interface: interfaceName(configured) }),
    traffic,
    ups,
    rekeys,
    ...(sa === undefined ? {} : { sa: buildChildSa(sa, now) }),
  };
};

const childState = (
  name: string,
  sa: ChildSaReading | undefined,
  view: ConnectionView,
  { daemon, loadedChildren, trapped }: Known,
): TunnelState => {
  if (sa !== undefined) return "up";
  if (daemon.state !== "running") return "down";
  if (!loadedChildren.has(name)) return "not-loaded";
  if (view.sas.some(({ state }) => state === "CREATED" || state === "CONNECTING")) return "connecting";
  const child = view.configured?.children.find((one) => one.name === name);
  if (child?.atOnce) return "down";
  if (trapped.has(name)) return "waiting-for-traffic";
  return child?.onTraffic ? "down" : "waiting-for-peer";
};

const end = (
  reading: EndReading | undefined,
  view: ConnectionView,
  side: "local" | "remote",
): ConnectionStatus["local"] => {
  const { loaded, configured } = view;
  const addresses = side === "local" ? loaded?.localAddresses : loaded?.remoteAddresses;
  const identity = side === "local" ? loaded?.localIdentity : loaded?.remoteIdentity;
  const endpoint = configured?.[side].endpoint;
  const address = addresses?.join(",") ?? (endpoint === undefined ? "%any" : endpointText(endpoint));
  // An IKE SA that has not heard of its peer yet has no identity for it.
  const known = reading?.identity === "%any" ? undefined : reading?.identity;
  return {
    address: reading === undefined || reading.address === "%any" ? address : reading.address,
    ...present({
      port: reading?.port,
      identity: known ?? identity,
      behindNat: reading?.behindNat,
    }),
  };
};

const buildIkeSa = (sa: IkeSaReading, now: number): NonNullable<ConnectionStatus["ikeSa"]> => ({
  uniqueId: sa.uniqueId,
  version: sa.version,
  initiator: sa.initiator,
  ...present({
    establishedAt: ago(now, sa.establishedSeconds),
    rekeyAt: ahead(now, sa.rekeySeconds),
    reauthenticateAt: ahead(now, sa.reauthenticateSeconds),
  }),
  algorithms: sa.algorithms,
});

const buildChildSa = (sa: ChildSaReading, now: number): NonNullable<ChildStatus["sa"]> => ({
  spiIn: sa.spiIn,
  spiOut: sa.spiOut,
  ...present({
    installedAt: ago(now, sa.installedSeconds),
    rekeyAt: ahead(now, sa.rekeySeconds),
    expiresAt: ahead(now, sa.lifeSeconds),
    lastPacketInAt: ago(now, sa.unusedInSeconds),
    lastPacketOutAt: ago(now, sa.unusedOutSeconds),
  }),
  inUdp: sa.inUdp,
  algorithms: sa.algorithms,
});

type FailureStatus = GatewayStatus["failures"][number];

/** Of a connection that a reload has taken away nothing is heard any more; one that was never loaded is told of. */
const isOfNow = ({ connection, scope }: Finding, concerned: ConnectionView | undefined): boolean =>
  connection === undefined || scope === "loading" || concerned !== undefined;

const buildFailure = ({ finding, since }: LastingFailure, concerned: string | undefined): FailureStatus => ({
  cause: finding.cause,
  severity: finding.severity,
  ...present({ connection: concerned ?? finding.connection, peer: finding.peer }),
  since: iso(since),
  variables: [...finding.variables],
  meaning: finding.meaning,
  remedy: finding.remedy,
  values: { ...finding.values },
});

/** What fails before charon has chosen a connection is known by the peer's address or name, which may tell the connection. */
const createConcerned = (
  views: readonly ConnectionView[],
): ((finding: Finding) => ConnectionView | undefined) => {
  const named = new Map(views.toReversed().flatMap((view) => [...view.names].map((name) => [name, view])));
  const at = new Map(
    views
      .toReversed()
      .flatMap((view) => view.loaded?.remoteAddresses.map((one) => [one, view] as const) ?? []),
  );
  return ({ connection, peer, values }) =>
    connection === undefined ? at.get(peer ?? values["name"] ?? "") : named.get(connection);
};

type FailureCount = GatewayStatus["failureCounts"][number];

const addUp = (counts: readonly FailureCount[]): FailureCount[] => [
  ...counts
    .reduce((sums, one) => {
      const key = `${one.cause} ${one.connection ?? ""}`;
      return sums.set(key, { ...one, count: one.count + (sums.get(key)?.count ?? 0) });
    }, new Map<string, FailureCount>())
    .values(),
];

/** What waits is ready as long as it has not failed; a stranger who fails at our port is no reason. */
const reasonsAgainst = (
  { daemon }: Observed,
  connections: readonly ConnectionStatus[],
  failures: readonly FailureStatus[],
): string[] => {
  if (daemon.state !== "running") return [`the IKE daemon is ${daemon.state}`];
  const lasting = failures.filter(({ severity }) => severity !== "info");
  const ofDaemon = lasting.filter(({ connection, peer }) => connection === undefined && peer === undefined);
  const ofConnections = Map.groupBy(lasting, ({ connection }) => connection);
  const names = new Set(connections.map(({ name }) => name));
  const unloaded = lasting.flatMap((failure) =>
    failure.connection === undefined || names.has(failure.connection)
      ? []
      : because(`${failure.connection} is not loaded`, [failure]),
  );
  if (connections.length + unloaded.length === 0) return because("no connection is loaded", ofDaemon);
  const down = connections.flatMap(({ name, remote, children }) =>
    children
      .filter(({ state }) => state !== "up")
      .flatMap((child): string[] => {
        const about = [...(ofConnections.get(name) ?? []), ...ofDaemon];
        const waits = child.state === "waiting-for-peer" || child.state === "waiting-for-traffic";
        if (waits && about.length === 0) return [];
        return because(`${child.name} to ${remote.address} is ${stateWords[child.state]}`, about);
      }),
  );
  return [...unloaded, ...down];
};

const because = (subject: string, failures: readonly FailureStatus[]): string[] =>
  failures.length === 0
    ? [subject]
    : failures.map(
        ({ cause, meaning, variables }) =>
          `${subject}: ${cause}: ${meaning}${variables.length === 0 ? "" : ` (${variables.join(", ")})`}`,
      );

export const stateWords = {
  up: "up",
  connecting: "connecting",
  "waiting-for-traffic": "waiting for traffic",
  "waiting-for-peer": "waiting for the peer",
  down: "down",
  "not-loaded": "not loaded",
} as const satisfies Record<TunnelState, string>;

const iso = (milliseconds: number): string => new Date(milliseconds).toISOString();

const ago = (now: number, seconds: number | undefined): string | undefined =>
  seconds === undefined ? undefined : iso(now - seconds * 1000);

const ahead = (now: number, seconds: number | undefined): string | undefined =>
  seconds === undefined ? undefined : iso(now + seconds * 1000);
