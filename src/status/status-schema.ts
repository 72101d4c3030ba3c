import * as z from "zod/mini";

/**
 * What a running gateway knows of itself, as `status --json` prints it. `version` grows when a field goes or changes its
 * meaning; new fields may come at any time. Times are RFC 3339 in UTC; what is unknown is absent.
 */
const time = () => z.iso.datetime();
const count = () => z.int().check(z.nonnegative());

const algorithms = z.object({
  encryption: z.optional(z.string()),
  /** In bits. */
  encryptionKeyLength: z.optional(count()),
  integrity: z.optional(z.string()),
  prf: z.optional(z.string()),
  /** For a CHILD SA: of perfect forward secrecy; absent before its first renewal (RFC 7296 §1.2). */
  keyExchange: z.optional(z.string()),
});

const end = z.object({
  /** Addresses, names and `%any` as configured, or the one address of an IKE SA. */
  address: z.string(),
  port: z.optional(count()),
  identity: z.optional(z.string()),
  /** Its address is changed on the way, or it says so, to have ESP in UDP (RFC 7296 §2.23). */
  behindNat: z.optional(z.boolean()),
});

const ikeSa = z.object({
  uniqueId: z.string(),
  version: z.enum(["1", "2"]),
  initiator: z.boolean(),
  establishedAt: z.optional(time()),
  rekeyAt: z.optional(time()),
  reauthenticateAt: z.optional(time()),
  algorithms,
});

/** Since the gateway started, over every renewal and every restart of the daemon. */
const traffic = z.object({
  bytesIn: count(),
  bytesOut: count(),
  packetsIn: count(),
  packetsOut: count(),
});

const childSa = z.object({
  spiIn: z.string(),
  spiOut: z.string(),
  installedAt: z.optional(time()),
  rekeyAt: z.optional(time()),
  expiresAt: z.optional(time()),
  lastPacketInAt: z.optional(time()),
  lastPacketOutAt: z.optional(time()),
  /** ESP in UDP (RFC 3948). */
  inUdp: z.boolean(),
  algorithms,
});

const tunnelStates = [
  "up",
  "connecting",
  "waiting-for-traffic",
  "waiting-for-peer",
  "down",
  "not-loaded",
] as const;

const child = z.object({
  name: z.string(),
  state: z.enum(tunnelStates),
  /** When it came into this state, as far as the gateway has seen it. */
  since: z.optional(time()),
  localNetworks: z.array(z.string()),
  remoteNetworks: z.array(z.string()),
  /** The interface that its packets pass, if it has one of its own. */
  interface: z.optional(z.string()),
  traffic,
  /** How often it came up, and how often it got new keys, since the gateway started. */
  ups: count(),
  rekeys: count(),
  sa: z.optional(childSa),
});

/** Of this end, of the peer where it is known beforehand, and of CAs. */
const certificate = z.object({
  of: z.enum(["local", "remote", "authority"]),
  subject: z.string(),
  expiresAt: time(),
});

const connection = z.object({
  name: z.string(),
  state: z.enum(tunnelStates),
  local: end,
  remote: end,
  /** The last time that both ends proved who they are or agreed on keys. */
  lastHandshakeAt: z.optional(time()),
  /** How often its IKE SA got new keys, since the gateway started. */
  rekeys: count(),
  ikeSa: z.optional(ikeSa),
  /** Those that it is given; absent with a pre-shared key. */
  certificates: z.optional(z.array(certificate)),
  children: z.array(child),
});

/** A failure that lasts. */
const failure = z.object({
  cause: z.string(),
  severity: z.enum(["error", "warn", "info"]),
  /** Absent for what concerns the daemon, or a peer that no connection is known for. */
  connection: z.optional(z.string()),
  peer: z.optional(z.string()),
  since: time(),
  /** To look at, likeliest first. */
  variables: z.array(z.string()),
  meaning: z.string(),
  remedy: z.string(),
  /** What the daemon named: identities, addresses, both ends' proposals. Partly the words of the peer. */
  values: z.record(z.string(), z.string()),
});

export const statusSchema = z.object({
  version: z.literal(1),
  gateway: z.object({
    version: z.string(),
    startedAt: time(),
    dataplane: z.enum(["kernel", "userspace"]),
    configuration: z.enum(["variables", "manual"]),
  }),
  daemon: z.object({
    state: z.enum(["running", "starting", "unresponsive", "stopping"]),
    /** When it came into this state. */
    since: time(),
    pid: z.optional(count()),
    version: z.optional(z.string()),
    /** How often it died and was started again. */
    restarts: count(),
  }),
  live: z.boolean(),
  ready: z.boolean(),
  /** Why it is not ready, one line each; empty when it is. */
  reasons: z.array(z.string()),
  connections: z.array(connection),
  failures: z.array(failure),
  /** How often each failure began, since the gateway started. */
  failureCounts: z.array(z.object({ cause: z.string(), connection: z.optional(z.string()), count: count() })),
});

export type GatewayStatus = Readonly<z.output<typeof statusSchema>>;

export type TunnelState = (typeof tunnelStates)[number];
