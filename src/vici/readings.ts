import { listOf, type Message, sectionOf, sectionsOf, textOf } from "./message.ts";

/** A CHILD SA as charon describes it. Counters and times as of the message; what is absent there is absent here. */
export type ChildSaReading = {
  readonly name: string;
  readonly uniqueId: string;
  /** charon's word: `INSTALLED`, `REKEYING`, `REKEYED`, `DELETING`, … */
  readonly state: string;
  readonly spiIn: string;
  readonly spiOut: string;
  readonly inUdp: boolean;
  readonly algorithms: Algorithms;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly packetsIn: number;
  readonly packetsOut: number;
  /** Seconds since the last packet. */
  readonly unusedInSeconds?: number;
  readonly unusedOutSeconds?: number;
  /** Seconds from now. */
  readonly rekeySeconds?: number;
  readonly lifeSeconds?: number;
  /** Seconds ago. */
  readonly installedSeconds?: number;
  readonly localNetworks: readonly string[];
  readonly remoteNetworks: readonly string[];
};

export type IkeSaReading = {
  /** Name of the connection that charon knows it by. */
  readonly connection: string;
  readonly uniqueId: string;
  readonly version: "1" | "2";
  /** charon's word: `CONNECTING`, `ESTABLISHED`, `DELETING`, … */
  readonly state: string;
  readonly initiator: boolean;
  /** Whether the peer has sent anything: only then can it hold the SA for established. */
  readonly peerAnswered: boolean;
  /** Whether charon is bringing up the SA or, over it, a CHILD SA that it does not list yet. */
  readonly negotiating: boolean;
  readonly local: EndReading;
  readonly remote: EndReading;
  /** Seconds ago. */
  readonly establishedSeconds?: number;
  /** Seconds from now. */
  readonly rekeySeconds?: number;
  readonly reauthenticateSeconds?: number;
  readonly algorithms: Algorithms;
  readonly children: readonly ChildSaReading[];
};

export type EndReading = {
  readonly address: string;
  readonly port?: number;
  readonly identity: string;
  readonly behindNat: boolean;
};

export type Algorithms = {
  readonly encryption?: string;
  readonly encryptionKeyLength?: number;
  readonly integrity?: string;
  readonly prf?: string;
  readonly keyExchange?: string;
};

/** A connection that charon has loaded. */
export type LoadedConnection = {
  readonly name: string;
  readonly localAddresses: readonly string[];
  readonly remoteAddresses: readonly string[];
  readonly localIdentity?: string;
  readonly remoteIdentity?: string;
  readonly children: readonly {
    readonly name: string;
    readonly localNetworks: readonly string[];
    readonly remoteNetworks: readonly string[];
  }[];
};

/** The IKE SAs of a `list-sa`, `ike-updown` or `child-updown` event (strongSwan src/libcharon/plugins/vici/README.md). */
export const readIkeSas = (message: Message): readonly IkeSaReading[] =>
  sectionsOf(message).map(([connection, section]) => readIkeSa(connection, section));

/** The CHILD SAs that `child-rekey` tells of: those before and those after. */
export const readRekeyedChildren = (
  message: Message,
): readonly { readonly before: ChildSaReading; readonly after: ChildSaReading }[] =>
  sectionsOf(message).flatMap(([, ike]) =>
    sectionsOf(sectionOf(ike, "child-sas")).flatMap(([, pair]) => {
      const before = sectionOf(pair, "old");
      const after = sectionOf(pair, "new");
      return before === undefined || after === undefined
        ? []
        : [{ before: readChildSa(before), after: readChildSa(after) }];
    }),
  );

export const readLoadedConnections = (message: Message): readonly LoadedConnection[] =>
  sectionsOf(message).map(([name, section]) => {
    const ends = sectionsOf(section);
    const identity = (prefix: string): string | undefined =>
      ends.flatMap(([end, values]) => (end.startsWith(prefix) ? [textOf(values, "id")] : []))[0];
    return {
      name,
      localAddresses: listOf(section, "local_addrs"),
      remoteAddresses: listOf(section, "remote_addrs"),
      ...present({ localIdentity: identity("local-"), remoteIdentity: identity("remote-") }),
      children: sectionsOf(sectionOf(section, "children")).map(([child, values]) => ({
        name: child,
        localNetworks: listOf(values, "local-ts"),
        remoteNetworks: listOf(values, "remote-ts"),
      })),
    };
  });

/** Installed in the kernel: it may carry packets, even while its successor is negotiated. */
export const isInstalled = ({ state }: ChildSaReading): boolean =>
  state === "INSTALLED" || state === "REKEYING" || state === "REKEYED";

/** Names of the CHILD SAs of a `list-policy` event. */
export const readPolicyChildren = (message: Message): readonly string[] =>
  sectionsOf(message).flatMap(([, section]) => textOf(section, "child") ?? []);

const readIkeSa = (connection: string, section: Message): IkeSaReading => ({
  connection,
  uniqueId: textOf(section, "uniqueid") ?? "",
  version: textOf(section, "version") === "1" ? "1" : "2",
  state: textOf(section, "state") ?? "",
  initiator: textOf(section, "initiator") === "yes",
  peerAnswered:
    textOf(section, "initiator") !== "yes" || !/^0*$/.test(textOf(section, "responder-spi") ?? ""),
  negotiating:
    textOf(section, "state") === "CONNECTING" ||
    [...listOf(section, "tasks-active"), ...listOf(section, "tasks-queued")].some((task) =>
      childTasks.has(task),
    ),
  local: readEnd(section, "local"),
  remote: readEnd(section, "remote"),
  ...present({
    establishedSeconds: numberOf(section, "established"),
    rekeySeconds: numberOf(section, "rekey-time"),
    reauthenticateSeconds: numberOf(section, "reauth-time"),
  }),
  algorithms: readAlgorithms(section),
  children: sectionsOf(sectionOf(section, "child-sas")).map(([, child]) => readChildSa(child)),
});

/** How IKEv2 and IKEv1 begin one (strongSwan src/libcharon/sa/task.c, task_type_names). */
const childTasks: ReadonlySet<string> = new Set(["CHILD_CREATE", "QUICK_MODE"]);

const readEnd = (section: Message, end: "local" | "remote"): EndReading => ({
  address: textOf(section, `${end}-host`) ?? "",
  ...present({ port: numberOf(section, `${end}-port`) }),
  identity: textOf(section, `${end}-id`) ?? "",
  behindNat: textOf(section, `nat-${end}`) === "yes",
});

const readChildSa = (section: Message): ChildSaReading => ({
  name: textOf(section, "name") ?? "",
  uniqueId: textOf(section, "uniqueid") ?? "",
  state: textOf(section, "state") ?? "",
  spiIn: textOf(section, "spi-in") ?? "",
  spiOut: textOf(section, "spi-out") ?? "",
  inUdp: textOf(section, "encap") === "yes",
  algorithms: readAlgorithms(section),
  bytesIn: numberOf(section, "bytes-in") ?? 0,
  bytesOut: numberOf(section, "bytes-out") ?? 0,
  packetsIn: numberOf(section, "packets-in") ?? 0,
  packetsOut: numberOf(section, "packets-out") ?? 0,
  ...present({
    unusedInSeconds: numberOf(section, "use-in"),
    unusedOutSeconds: numberOf(section, "use-out"),
    rekeySeconds: numberOf(section, "rekey-time"),
    lifeSeconds: numberOf(section, "life-time"),
    installedSeconds: numberOf(section, "install-time"),
  }),
  localNetworks: listOf(section, "local-ts"),
  remoteNetworks: listOf(section, "remote-ts"),
});

const readAlgorithms = (section: Message): Algorithms =>
  present({
    encryption: textOf(section, "encr-alg"),
    encryptionKeyLength: numberOf(section, "encr-keysize"),
    integrity: textOf(section, "integ-alg"),
    prf: textOf(section, "prf-alg"),
    keyExchange: textOf(section, "dh-group"),
  });

const numberOf = (section: Message, name: string): number | undefined => {
  const number = Number(textOf(section, name) ?? Number.NaN);
  return Number.isFinite(number) ? number : undefined;
};

/** Without the fields that are undefined. */
export const present = <T extends object>(
  fields: {
    readonly [name in keyof T]: T[name] | undefined;
  },
): { readonly [name in keyof T]?: Exclude<T[name], undefined> } =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never;
