import type { CharonLine } from "./charon-line.ts";

/** What the lines so far have told about one IKE SA. */
export type IkeSaContext = {
  connection?: string;
  /** Address of the peer. */
  peer?: string;
  established: boolean;
  /** Names of the CHILD SAs that it has built, and of the one it is building. */
  readonly childrenBuilt: Set<string>;
  childInProgress?: string;
  /** Both ends' proposals, as charon prints them when it cannot choose one. */
  receivedProposals?: string;
  configuredProposals?: string;
  /** The identities that the peer named: ours and its own. */
  localId?: string;
  remoteId?: string;
  netlinkReason?: string;
  /** This end proved itself by its private key. */
  signed?: true;
};

/** Something that ends or renews a failure. */
export type Milestone =
  | { readonly kind: "starter-started" | "daemon-started" | "configuration-read" | "secrets-reread" }
  | { readonly kind: "loaded"; readonly connection: string }
  | { readonly kind: "attempt" | "packet" | "peer-proven" | "ike-up" | "child-up" };

export type CharonContext = {
  /** Takes a line in. Lines of level 2 and above tell nothing. */
  readonly note: (line: CharonLine) => Milestone | undefined;
  /** Of the IKE SA that the line belongs to; `undefined` outside any. */
  readonly ikeSa: (line: CharonLine) => IkeSaContext | undefined;
  /** The connection that charon is loading. */
  readonly loading: () => string | undefined;
  readonly lastSent: () => SentPacket | undefined;
  /** Why the resolver gave up on a name. */
  readonly resolverReason: (name: string) => string | undefined;
  readonly secretsFile: () => string | undefined;
  /** starter's complaint about a value, which precedes the line that names the connection. */
  readonly starterComplaint: () => string | undefined;
};

type SentPacket = {
  readonly ikeSa: IkeSaContext | undefined;
  readonly localAddress: string;
  readonly remoteAddress: string;
};

// Anyone on the network can open IKE SAs, so only the latest are kept.
const ikeSasKept = 1024;

export const createCharonContext = (): CharonContext => {
  const ikeSas = new Map<number, IkeSaContext>();
  let loading: string | undefined;
  let lastSent: SentPacket | undefined;
  let unresolved: { readonly name: string; readonly reason: string } | undefined;
  let secretsFile: string | undefined;
  let starterComplaint: string | undefined;

  const ikeSaOf = (saId: number): IkeSaContext => {
    const context = ikeSas.get(saId) ?? { established: false, childrenBuilt: new Set() };
    ikeSas.delete(saId);
    ikeSas.set(saId, context);
    if (ikeSas.size > ikeSasKept) for (const [oldest] of ikeSas.entries().take(1)) ikeSas.delete(oldest);
    return context;
  };

  const ikeSa = (line: CharonLine): IkeSaContext | undefined => {
    if (line.kind === "starter" || line.saId === undefined) return undefined;
    const context = ikeSaOf(line.saId);
    if (line.connection !== undefined) context.connection = line.connection;
    return context;
  };

  const noteStarter = (message: string): Milestone | undefined => {
    if (/^Starting .* \[starter\]/.test(message)) return { kind: "starter-started" };
    const complaint = /^# ((?:bad|unknown) .*|.* failed: .*)$/.exec(message);
    if (complaint !== null) starterComplaint = complaint[1];
    return undefined;
  };

  const noteOutsideIkeSa = (message: string): Milestone | undefined => {
    if (message.startsWith("Starting IKE charon daemon")) {
      ikeSas.clear();
      return { kind: "daemon-started" };
    }
    const stroke = /^received stroke: (add connection|route|initiate) '(.*)'$/.exec(message);
    if (stroke !== null) {
      loading = stroke[2];
      return stroke[1] === "add connection" ? { kind: "configuration-read" } : undefined;
    }
    const loaded = /^(?:added configuration '(.*)'|(?:added|updated) vici connection: (.*))$/.exec(message);
    if (loaded !== null) return { kind: "loaded", connection: loaded[1] ?? loaded[2] ?? "" };
    const resolved = /^resolving '(.*)' failed: (.*)$/.exec(message);
    if (resolved !== null) unresolved = { name: resolved[1] ?? "", reason: resolved[2] ?? "" };
    const secrets = /^loading secrets from '(.*)'$/.exec(message);
    if (secrets !== null) secretsFile = secrets[1];
    return message === "rereading secrets" ? { kind: "secrets-reread" } : undefined;
  };

  const noteProgress = (message: string, context: IkeSaContext): Milestone | undefined => {
    const received = /^received packet: from (\S+?)(?:\[\d+\])? to /.exec(message);
    if (received !== null) {
      context.peer = received[1] ?? "";
      return { kind: "packet" };
    }
    // charon omits port 0, which its own port is when it has no socket.
    const sent = /^sending packet: from (\S+?)(?:\[\d+\])? to (\S+?)(?:\[\d+\])? \(/.exec(message);
    if (sent !== null)
      lastSent = { ikeSa: context, localAddress: sent[1] ?? "", remoteAddress: sent[2] ?? "" };
    if (/^initiating .*IKE_SA /.test(message)) return { kind: "attempt" };
    if (/^\S+ is initiating an? /.test(message)) return { kind: "attempt" };
    if (isProof(message)) return { kind: "peer-proven" };
    const ikeUp = /^IKE_SA .{1,128}\[(\d+)\] (?:established|rekeyed) between /.exec(message);
    if (ikeUp !== null) {
      const renewed = ikeSaOf(Number(ikeUp[1]));
      renewed.established = true;
      for (const child of context.childrenBuilt) renewed.childrenBuilt.add(child);
      return { kind: "ike-up" };
    }
    const building = /^establishing CHILD_SA (.{1,128})\{\d+\}/.exec(message);
    if (building !== null) {
      context.childInProgress = building[1] ?? "";
      return context.established ? { kind: "attempt" } : undefined;
    }
    const built = /^(?:inbound |outbound )?CHILD_SA (.{1,128})\{\d+\} established with SPIs /.exec(message);
    if (built === null) return undefined;
    context.childrenBuilt.add(built[1] ?? "");
    return { kind: "child-up" };
  };

  return {
    note: (line) => {
      if (line.kind === "starter") return noteStarter(line.message);
      if (line.level > 1) return undefined;
      const context = ikeSa(line);
      if (context === undefined) return noteOutsideIkeSa(line.message);
      noteNegotiation(line.message, context);
      return noteProgress(line.message, context);
    },
    ikeSa,
    loading: () => loading,
    lastSent: () => lastSent,
    resolverReason: (name) => (unresolved?.name === name ? unresolved.reason : undefined),
    secretsFile: () => secretsFile,
    starterComplaint: () => starterComplaint,
  };
};

/** No regular expression: the peer chose the name in it, and how long it is. */
const isProof = (message: string): boolean =>
  message.startsWith("authentication of '") &&
  message.endsWith(" successful") &&
  !message.includes("' (myself) ");

// In characters. A peer can send 64 KiB of either; the default proposals of strongSwan are about 3,000.
const proposalsKept = 8192;
const longestLookUp = 2048;

const noteNegotiation = (message: string, context: IkeSaContext): void => {
  if (message.startsWith("received proposals: "))
    context.receivedProposals = message.slice(20, proposalsKept);
  if (message.startsWith("configured proposals: "))
    context.configuredProposals = message.slice(22, proposalsKept);
  if (message.length > longestLookUp) return;
  const looked =
    /^looking for .*?peer configs matching [0-9A-Za-z.:%]+?(?:\[(.*?)\])?\.\.\.[0-9A-Za-z.:%]+\[(.*)\]$/.exec(
      message,
    );
  if (looked !== null) {
    if (looked[1] !== undefined) context.localId = looked[1];
    context.remoteId = looked[2] ?? "";
  }
  // IKEv1 says nothing of how, since it says so with a key only.
  if (/^authentication of '.*' \(myself\) (?:with (?!pre-shared key).* )?successful$/.test(message))
    context.signed = true;
  const netlink = /^received netlink error: (.*)$/.exec(message);
  if (netlink !== null) context.netlinkReason = netlink[1] ?? "";
};
