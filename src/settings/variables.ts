import {
  parseAddress,
  parseInterfaceAddress,
  parseLocalEndpoint,
  parseRemoteEndpoint,
} from "../ipsec/address.ts";
import { parseCertificates } from "../ipsec/certificates.ts";
import { parseIdentity } from "../ipsec/identity.ts";
import { type CheckedSchema, checkedBy, checkedByResult, listOf, type Parsed } from "./checked.ts";
import {
  oneOfEachFamily,
  parseBoolean,
  parseConnectionName,
  parseInterfaceName,
  parseInterval,
  parseKey,
  parseLifetime,
  parseListenAddress,
  parseNetworkItem,
  parsePassphrase,
  parsePath,
  parsePreSharedKey,
  parsePrivateKey,
  parseProposalList,
  parseSize,
  parseStart,
  parseSwitch,
  parseWord,
} from "./values.ts";

/** Headings of the reference, in its order. */
export const groups = [
  "Reading",
  "The two ends",
  "Authentication",
  "Algorithms and lifetimes",
  "Bringing the tunnel up",
  "The host",
  "Virtual interface (VTI)",
  "Virtual interface (XFRM)",
  "Manual configuration",
  "Health and metrics",
  "Logging",
] as const;

/**
 * One variable: the only place where its name, default, check and description are written.
 * Settings, reference, JSON Schema, examples and the list of secrets derive from these records.
 */
export type Variable<T = unknown> = {
  readonly group: (typeof groups)[number];
  /** Accepted values, for people; Markdown. */
  readonly values: string;
  /** What it does, one sentence; Markdown. */
  readonly meaning: string;
  /** A good value, shown in hints and in `.env.example`. */
  readonly example: string;
  readonly default?: string;
  /** A default that another variable decides; words for the reference. */
  readonly defaultFrom?: string;
  /** Needed for a connection, unless the configuration is manual. */
  readonly required?: true;
  /** Absent for what each connection may have for itself. */
  readonly scope?: "gateway";
  /** Never shown. */
  readonly secret?: true;
  /** Reads the exact bytes of a file, which the variable's name and `_FILE` names. */
  readonly parseBytes?: (bytes: Uint8Array) => Parsed<T>;
  /** Of several lines, so nearly always given as a file; the example is a path. */
  readonly isText?: true;
  /** The accepted words, where they are few; for JSON Schema and completion. */
  readonly words?: readonly string[];
  readonly schema: CheckedSchema<T>;
};

const variable = <T, const V extends Variable<T>>(definition: V): V => definition;

/** What may also come as a file; as text it is read as UTF-8. */
const fromFile = <T>(parseBytes: (bytes: Uint8Array) => Parsed<T>) => ({
  parseBytes,
  schema: checkedBy((text) => parseBytes(new TextEncoder().encode(text))),
});

const truths = ["yes", "no"] as const;
const authentications = ["psk", "pubkey"] as const;
const revocationPolicies = ["relaxed", "strict", "off"] as const;
const exchanges = ["ike", "ikev1", "ikev2"] as const;
const backends = ["stroke", "swanctl"] as const;
const dataplanes = ["auto", "kernel", "userspace"] as const;
const deadPeerActions = ["restart", "trap", "clear", "none"] as const;
const logLevels = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;
const logFormats = ["json", "pretty"] as const;

export const variables = {
  ENVFILE: variable({
    group: "Reading",
    scope: "gateway",
    values: "path",
    meaning: "File of variables that is read before anything else; what it sets wins over the environment.",
    example: "/etc/vnf-ipsec/site.env",
    schema: checkedByResult(parsePath),
  }),
  IPSEC_CONFIG_FILE: variable({
    group: "Reading",
    scope: "gateway",
    values: "path",
    meaning:
      "File of connections, YAML or JSON, for a gateway with more than one; the variables of a connection are defaults for each of them.",
    example: "/etc/vnf-ipsec/connections.yaml",
    schema: checkedByResult(parsePath),
  }),
  IPSEC_WATCH: variable({
    group: "Reading",
    scope: "gateway",
    values: "`yes`, `no`",
    meaning:
      "Reload whenever `ENVFILE`, the file of `IPSEC_CONFIG_FILE` or a secret's file changes on disk, as `SIGHUP` does.",
    example: "yes",
    default: "no",
    words: truths,
    schema: checkedByResult(parseBoolean),
  }),

  IPSEC_NAME: variable({
    group: "The two ends",
    values: "`a`-`z`, `0`-`9`, `-`; at most 31 characters",
    meaning: "Name of the connection, in files and logs.",
    example: "site",
    default: "site",
    schema: checkedByResult(parseConnectionName),
  }),
  IPSEC_LOCALIP: variable({
    group: "The two ends",
    values: "IPv4 or IPv6 address, `%any`",
    meaning: "Address of this end of the tunnel; `%any` takes whatever address the host has.",
    example: "192.0.2.1",
    default: "%any",
    schema: checkedByResult(parseLocalEndpoint),
  }),
  IPSEC_LOCALID: variable({
    group: "The two ends",
    values: "address, FQDN, e-mail, DN, `@name`, `@#hex`, `keyid:text`, `asn1dn:#hex`",
    meaning:
      "Identity of this end; must equal the peer's `IPSEC_REMOTEID`. Required with a pre-shared key when `IPSEC_LOCALIP` is `%any`.",
    example: "moon.example.com",
    defaultFrom: "the subject of `IPSEC_CERT`, or `IPSEC_LOCALIP`",
    schema: checkedByResult(parseIdentity),
  }),
  IPSEC_LOCALNET: variable({
    group: "The two ends",
    values: "comma-separated networks (CIDR)",
    meaning: "Networks on this side that the peer may reach.",
    example: "10.1.0.0/16",
    required: true,
    schema: checkedBy(listOf(parseNetworkItem)),
  }),
  IPSEC_REMOTEIP: variable({
    group: "The two ends",
    values: "IPv4 or IPv6 address, host name, `%any`",
    meaning: "Where the peer is; with `%any` it may call from anywhere and this end only answers.",
    example: "198.51.100.7",
    default: "%any",
    schema: checkedByResult(parseRemoteEndpoint),
  }),
  IPSEC_REMOTEID: variable({
    group: "The two ends",
    values: "as `IPSEC_LOCALID`; also `*.example.com`, `CN=*`, `%any`",
    meaning:
      "Identity of the peer; must equal the peer's `IPSEC_LOCALID`. Required when `IPSEC_REMOTEIP` is `%any`.",
    example: "sun.example.com",
    defaultFrom: "the subject of `IPSEC_REMOTE_CERT`, or `IPSEC_REMOTEIP`",
    schema: checkedByResult(parseIdentity),
  }),
  IPSEC_REMOTENET: variable({
    group: "The two ends",
    values: "comma-separated networks (CIDR)",
    meaning: "Networks behind the peer.",
    example: "10.2.0.0/16",
    required: true,
    schema: checkedBy(listOf(parseNetworkItem)),
  }),

  IPSEC_PSK: variable({
    group: "Authentication",
    values: "text, `0x…` (hexadecimal), `0s…` (base64)",
    meaning:
      "Pre-shared key, the same at both ends; not with `IPSEC_AUTH=pubkey`. Make one with `openssl rand -base64 32`.",
    example: "replace-this-by-a-long-random-text",
    required: true,
    secret: true,
    ...fromFile(parsePreSharedKey),
  }),
  IPSEC_AUTH: variable({
    group: "Authentication",
    values: "`psk`, `pubkey`",
    meaning:
      "How both ends prove who they are: by `IPSEC_PSK`, or by certificates; `pubkey` needs `IPSEC_CERT`, `IPSEC_PRIVATE_KEY` and one of `IPSEC_CA_CERT` and `IPSEC_REMOTE_CERT`.",
    example: "pubkey",
    default: "psk",
    words: authentications,
    schema: checkedByResult(parseWord(authentications)),
  }),
  IPSEC_CERT: variable({
    group: "Authentication",
    values: "PEM; intermediate certificates after it",
    meaning: "Certificate of this end. Its subject is `IPSEC_LOCALID` where that is not set.",
    example: "/etc/vnf-ipsec/cert.pem",
    isText: true,
    ...fromFile(parseCertificates),
  }),
  IPSEC_PRIVATE_KEY: variable({
    group: "Authentication",
    values: "PEM: RSA, ECDSA or Ed25519",
    meaning: "Private key of `IPSEC_CERT`.",
    example: "/run/secrets/key.pem",
    isText: true,
    secret: true,
    ...fromFile(parsePrivateKey),
  }),
  IPSEC_PRIVATE_KEY_PASSPHRASE: variable({
    group: "Authentication",
    values: "text",
    meaning: "What opens `IPSEC_PRIVATE_KEY`, if that is encrypted.",
    example: "replace-this-by-the-passphrase",
    secret: true,
    ...fromFile(parsePassphrase),
  }),
  IPSEC_CA_CERT: variable({
    group: "Authentication",
    values: "PEM; a root, and intermediate certificates that the peer does not send",
    meaning: "Certification authority by which the peer's certificate is trusted, and no other one.",
    example: "/etc/vnf-ipsec/ca.pem",
    isText: true,
    ...fromFile(parseCertificates),
  }),
  IPSEC_REMOTE_CERT: variable({
    group: "Authentication",
    values: "PEM",
    meaning:
      "The peer's certificate itself, instead of `IPSEC_CA_CERT`. Its subject is `IPSEC_REMOTEID` where that is not set.",
    example: "/etc/vnf-ipsec/peer.pem",
    isText: true,
    ...fromFile(parseCertificates),
  }),
  IPSEC_REVOCATION: variable({
    group: "Authentication",
    scope: "gateway",
    values: "`relaxed`, `strict`, `off`",
    meaning:
      "Whether a peer's certificate has been revoked (CRL, OCSP): `relaxed` refuses what is known to be, `strict` also what nobody can tell of, `off` never asks.",
    example: "strict",
    default: "relaxed",
    words: revocationPolicies,
    schema: checkedByResult(parseWord(revocationPolicies)),
  }),

  IPSEC_KEYEXCHANGE: variable({
    group: "Algorithms and lifetimes",
    values: "`ikev2`, `ikev1`, `ike`",
    meaning: "Version of IKE; `ike` offers version 2 and accepts both.",
    example: "ikev2",
    default: "ikev2",
    words: exchanges,
    schema: checkedByResult(parseWord(exchanges)),
  }),
  IPSEC_IKECIPHER: variable({
    group: "Algorithms and lifetimes",
    values: "comma-separated proposals",
    meaning: "Proposals for the IKE SA; exactly these are offered and accepted, in this order.",
    example: "aes256gcm16-prfsha384-ecp384",
    default: "aes192gcm16-aes128gcm16-prfsha256-ecp256-ecp521,aes192-sha256-modp3072",
    schema: checkedBy(parseProposalList("ike")),
  }),
  IPSEC_ESPCIPHER: variable({
    group: "Algorithms and lifetimes",
    values: "comma-separated proposals",
    meaning: "Proposals for ESP; a key exchange method in one asks for perfect forward secrecy.",
    example: "aes256gcm16-ecp384",
    default: "aes192gcm16-aes128gcm16-ecp256,aes192-sha256-modp3072",
    schema: checkedBy(parseProposalList("esp")),
  }),
  IPSEC_IKELIFETIME: variable({
    group: "Algorithms and lifetimes",
    values: "duration, `120s` to `24h`",
    meaning: "Lifetime of the IKE SA; it is renewed before.",
    example: "8h",
    default: "3h",
    schema: checkedByResult(parseLifetime),
  }),
  IPSEC_LIFETIME: variable({
    group: "Algorithms and lifetimes",
    values: "duration, `120s` to `24h`",
    meaning: "Lifetime of the ESP keys (CHILD SA); they are renewed before.",
    example: "1h",
    default: "1h",
    schema: checkedByResult(parseLifetime),
  }),
  IPSEC_IKEREAUTH: variable({
    group: "Algorithms and lifetimes",
    values: "`yes`, `no`",
    meaning: "Authenticate again whenever the IKE SA is renewed, instead of only changing its keys.",
    example: "no",
    default: "yes",
    words: truths,
    schema: checkedByResult(parseBoolean),
  }),

  IPSEC_START: variable({
    group: "Bringing the tunnel up",
    values: "`route`, `start`, `route,start`, `add`",
    meaning:
      "`route`: at the first packet for the peer's networks; `start`: at once, and again whenever it is down; `add`: only the peer starts it. With `IPSEC_REMOTEIP=%any` it is always `add`, and in user space `route` acts as `start`.",
    example: "start",
    default: "route",
    words: ["route", "start", "route,start", "add"],
    schema: checkedByResult(parseStart),
  }),
  IPSEC_FORCEUDP: variable({
    group: "Bringing the tunnel up",
    values: "`yes`, `no`",
    meaning: "Carry ESP in UDP (port 4500) even where no NAT is found; passes most firewalls and clouds.",
    example: "no",
    default: "yes",
    words: truths,
    schema: checkedByResult(parseBoolean),
  }),
  IPSEC_DPD_DELAY: variable({
    group: "Bringing the tunnel up",
    values: "duration, `1s` to `1h`",
    meaning:
      "After so long without a packet from the peer it is asked whether it lives (dead peer detection).",
    example: "10s",
    default: "30s",
    schema: checkedByResult(parseInterval),
  }),
  IPSEC_DPD_TIMEOUT: variable({
    group: "Bringing the tunnel up",
    values: "duration, `1s` to `1h`",
    meaning:
      "After so long without an answer the peer counts as dead (IKEv1; IKEv2 counts its retransmissions).",
    example: "60s",
    default: "150s",
    schema: checkedByResult(parseInterval),
  }),
  IPSEC_DPD_ACTION: variable({
    group: "Bringing the tunnel up",
    values: "`restart`, `trap`, `clear`, `none`",
    meaning:
      "What follows when the peer is dead: connect again, wait for traffic, drop the tunnel; `none` never asks. With `IPSEC_START=add`, `restart` acts as `clear`.",
    example: "restart",
    default: "restart",
    words: deadPeerActions,
    schema: checkedByResult(parseWord(deadPeerActions)),
  }),

  IPSEC_BACKEND: variable({
    group: "The host",
    scope: "gateway",
    values: "`stroke`, `swanctl`",
    meaning:
      "How strongSwan is told: by ipsec.conf and its starter, or by swanctl.conf and vici, as strongSwan 6 needs it.",
    example: "swanctl",
    default: "stroke",
    words: backends,
    schema: checkedByResult(parseWord(backends)),
  }),
  IPSEC_DATAPLANE: variable({
    group: "The host",
    scope: "gateway",
    values: "`auto`, `kernel`, `userspace`",
    meaning:
      "Where ESP is done: in the kernel, in the daemon over `/dev/net/tun`, or wherever it works, kernel first.",
    example: "kernel",
    default: "auto",
    words: dataplanes,
    schema: checkedByResult(parseWord(dataplanes)),
  }),
  IPSEC_INTERFACES: variable({
    group: "The host",
    scope: "gateway",
    values: "comma-separated names",
    meaning: "Network interfaces that the IKE daemon uses.",
    example: "eth0",
    defaultFrom: "all",
    schema: checkedBy(listOf(parseInterfaceName)),
  }),
  SET_ROUTE_DEFAULT_TABLE: variable({
    group: "The host",
    values: "`yes`, `no`",
    meaning:
      "Add a route to each remote network to the main routing table, through the default gateway with `IPSEC_LOCALIP` as source, and remove it at the stop (for Calico and host networking).",
    example: "yes",
    default: "no",
    words: truths,
    schema: checkedByResult(parseBoolean),
  }),

  IPSEC_MSS: variable({
    group: "The host",
    values: "`auto`, `off`, `576` to `9000`",
    meaning:
      "Largest TCP segment (MSS) that hosts may agree on through the tunnel, over IPv4; over IPv6 it is 20 less. `auto` computes what fits the way to the peer, or `IPSEC_MTU` where there is a virtual interface; `off` leaves TCP alone.",
    example: "1360",
    default: "auto",
    schema: checkedByResult(parseSize(1360)),
  }),
  IPSEC_NAT_EXEMPT: variable({
    group: "The host",
    values: "`yes`, `no`",
    meaning:
      "Packets from `IPSEC_LOCALNET` to `IPSEC_REMOTENET` keep their source address where other rules of this host masquerade or translate it.",
    example: "yes",
    default: "no",
    words: truths,
    schema: checkedByResult(parseBoolean),
  }),

  IPSEC_VTI_KEY: variable({
    group: "Virtual interface (VTI)",
    values: "`1` to `4294967295`, decimal or `0x…`",
    meaning:
      "Makes `init` create the interface `vti<key>` from `IPSEC_LOCALIP` to `IPSEC_REMOTEIP`, and `run` mark the tunnel's packets with the key.",
    example: "42",
    schema: checkedByResult(parseKey),
  }),
  IPSEC_VTI_STATICROUTES: variable({
    group: "Virtual interface (VTI)",
    values: "comma-separated networks (CIDR)",
    meaning: "Routes over the virtual interface.",
    example: "10.2.0.0/16,10.3.0.0/16",
    schema: checkedBy(listOf(parseNetworkItem)),
  }),
  IPSEC_VTI_IPADDR_LOCAL: variable({
    group: "Virtual interface (VTI)",
    values: "address, or address/length",
    meaning: "Address of the virtual interface.",
    example: "169.254.10.1",
    schema: checkedByResult(parseInterfaceAddress),
  }),
  IPSEC_VTI_IPADDR_PEER: variable({
    group: "Virtual interface (VTI)",
    values: "address",
    meaning: "Address of the peer's virtual interface; needs `IPSEC_VTI_IPADDR_LOCAL`.",
    example: "169.254.10.2",
    schema: checkedByResult(parseAddress),
  }),

  IPSEC_MTU: variable({
    group: "Virtual interface (VTI)",
    values: "`auto`, `off`, `576` to `9000`",
    meaning:
      "MTU of the virtual interface. `auto` computes what fits the way to the peer, as the host knows it, from `IPSEC_ESPCIPHER` and `IPSEC_FORCEUDP`; `off` leaves the kernel's.",
    example: "1400",
    default: "auto",
    schema: checkedByResult(parseSize(1400)),
  }),

  IPSEC_XFRM_IF_ID: variable({
    group: "Virtual interface (XFRM)",
    values: "`1` to `4294967295`, decimal or `0x…`",
    meaning:
      "Makes `init` create the XFRM interface `xfrm<id>`, and `run` tie the tunnel to it. Unlike a VTI it takes IPv4 and IPv6, and tunnels to several peers. Needs `IPSEC_BACKEND=swanctl`.",
    example: "42",
    schema: checkedByResult(parseKey),
  }),
  IPSEC_XFRM_STATICROUTES: variable({
    group: "Virtual interface (XFRM)",
    values: "comma-separated networks (CIDR)",
    meaning:
      "Routes over the XFRM interface. Where they would take the peer's own address, it gets a route around.",
    example: "10.2.0.0/16,2001:db8:2::/48",
    schema: checkedBy(listOf(parseNetworkItem)),
  }),
  IPSEC_XFRM_IPADDR_LOCAL: variable({
    group: "Virtual interface (XFRM)",
    values: "address, or address/length; one of each family, comma-separated",
    meaning: "Addresses of the XFRM interface.",
    example: "169.254.10.1,fd00:42::1",
    schema: checkedBy(oneOfEachFamily(parseInterfaceAddress, ({ address }) => address.family)),
  }),
  IPSEC_XFRM_IPADDR_PEER: variable({
    group: "Virtual interface (XFRM)",
    values: "address; one of each family, comma-separated",
    meaning: "Addresses of the peer's virtual interface; each needs one in `IPSEC_XFRM_IPADDR_LOCAL`.",
    example: "169.254.10.2,fd00:42::2",
    schema: checkedBy(oneOfEachFamily(parseAddress, ({ family }) => family)),
  }),

  IPSEC_USE_MANUAL_CONFIG: variable({
    group: "Manual configuration",
    scope: "gateway",
    values: "`yes`, `no`; any other text is `yes`",
    meaning:
      "Use the mounted `ipsec.*.conf` and `ipsec.*.secrets` as they are; none is written from the variables.",
    example: "yes",
    default: "no",
    schema: checkedByResult(parseSwitch),
  }),
  IPSEC_MANUAL_CHARON: variable({
    group: "Manual configuration",
    scope: "gateway",
    values: "`yes`, `no`; any other text is `yes`",
    meaning: "Use `/etc/strongswan.d/charon.conf` as it is; it is not written.",
    example: "yes",
    default: "no",
    schema: checkedByResult(parseSwitch),
  }),

  IPSEC_HTTP_LISTEN: variable({
    group: "Health and metrics",
    scope: "gateway",
    values: "`address:port`, `[IPv6]:port`",
    meaning: "Where `/livez`, `/readyz` and `/metrics` are served over HTTP; nowhere by default.",
    example: "127.0.0.1:9100",
    schema: checkedByResult(parseListenAddress),
  }),

  DEBUG: variable({
    group: "Logging",
    scope: "gateway",
    values: "`yes`, `no`; any other text is `yes`",
    meaning: "Log in detail, the IKE daemon included, and show the written files with secrets masked.",
    example: "yes",
    default: "no",
    schema: checkedByResult(parseSwitch),
  }),
  LOG_LEVEL: variable({
    group: "Logging",
    scope: "gateway",
    values: logLevels.map((level) => `\`${level}\``).join(", "),
    meaning: "Least level of a record that is logged; `DEBUG` lowers it to `debug`.",
    example: "warn",
    default: "info",
    words: logLevels,
    schema: checkedByResult(parseWord(logLevels)),
  }),
  LOG_FORMAT: variable({
    group: "Logging",
    scope: "gateway",
    values: "`json`, `pretty`",
    meaning: "One JSON object a line, or coloured text for people.",
    example: "pretty",
    defaultFrom: "`pretty` on a terminal, `json` elsewhere",
    words: logFormats,
    schema: checkedByResult(parseWord(logFormats)),
  }),
} as const satisfies Readonly<Record<string, Variable>>;

export type VariableName = keyof typeof variables;

export const variableNames = Object.keys(variables) as readonly VariableName[];

/** Record of a variable without what its literal type knows, for code that treats all of them alike. */
export const definitionOf = (name: VariableName): Variable => variables[name];

/** Names of the variables that name a file with the value of another. */
export const valueFileNames: readonly string[] = variableNames
  .filter((name) => definitionOf(name).parseBytes !== undefined)
  .map((name) => `${name}_FILE`);

/** Whether the name is that of a variable whose value is never shown. */
export const isSecret = (name: string): boolean =>
  variableNames.some((one) => one === name && definitionOf(one).secret);
