/**
 * What a failure is about, and so what proves it mended: `daemon` a new charon, `loading` the connection loaded,
 * `path` a packet from the peer, `ike` an IKE SA, `child` a CHILD SA.
 */
export type Scope = "daemon" | "loading" | "path" | "ike" | "child";

/** `info` is for what charon mends by itself. */
export type Severity = "error" | "warn" | "info";

export type Cause = {
  readonly scope: Scope;
  readonly severity: Severity;
  /** The variables to look at, likeliest first; empty when none is to blame. */
  readonly variables: readonly string[];
  /** One line, lower case, no full stop: what is wrong. */
  readonly meaning: string;
  /** One line, lower case, no full stop: what to do. */
  readonly remedy: string;
  /** Causes that only follow from this one while it lasts. */
  readonly explains?: readonly CauseName[];
};

/** Stable names: status, metrics and alerts are keyed by them. */
export type CauseName = keyof typeof table;

const table = {
  "configuration-invalid": {
    scope: "loading",
    severity: "error",
    variables: ["IPSEC_USE_MANUAL_CONFIG", "IPSEC_MANUAL_CHARON"],
    meaning: "strongSwan refused a configuration file or a connection in it",
    remedy: "correct the mounted ipsec.*.conf or strongswan.conf at the place that the message names",
  },
  "proposal-invalid": {
    scope: "loading",
    severity: "error",
    variables: ["IPSEC_IKECIPHER", "IPSEC_ESPCIPHER"],
    meaning: "this strongSwan does not know a word of the proposals, so the connection was not loaded",
    remedy: "correct the word, or use an algorithm whose plugin is loaded",
  },
  "secrets-unreadable": {
    scope: "daemon",
    severity: "error",
    variables: ["IPSEC_PSK", "IPSEC_USE_MANUAL_CONFIG"],
    meaning: "charon could not read the secrets; those after the bad line are missing",
    remedy: "correct the mounted secrets file, or make it readable for the user that charon runs as",
    explains: ["psk-not-found", "private-key-missing"],
  },
  "port-in-use": {
    scope: "daemon",
    severity: "error",
    variables: ["IPSEC_INTERFACES"],
    meaning: "another program has UDP port 500 or 4500, so charon cannot speak IKE",
    remedy: "stop the other IKE daemon on this host (ss -lunp 'sport = :500'), or leave host networking",
    explains: ["no-socket"],
  },
  "no-permission": {
    scope: "daemon",
    severity: "error",
    variables: [],
    meaning: "charon lacks a capability",
    remedy: "run the container with --cap-add NET_ADMIN --cap-add NET_BIND_SERVICE, or --privileged",
    explains: ["no-socket", "esp-unavailable", "policy-refused", "userspace-unavailable"],
  },
  "no-socket": {
    scope: "path",
    severity: "error",
    variables: ["IPSEC_INTERFACES", "IPSEC_LOCALIP"],
    meaning: "charon has no socket for the packets to this peer",
    remedy: "look for the socket error at charon's start",
  },
  "userspace-unavailable": {
    scope: "daemon",
    severity: "error",
    variables: ["IPSEC_DATAPLANE"],
    meaning: "the userspace data plane cannot open /dev/net/tun",
    remedy: "give the container --device /dev/net/tun, or set IPSEC_DATAPLANE=kernel",
    explains: ["esp-unavailable"],
  },
  "name-unresolvable": {
    scope: "path",
    severity: "error",
    variables: ["IPSEC_REMOTEIP"],
    meaning: "the peer's name does not resolve to an address",
    remedy: "correct IPSEC_REMOTEIP or the container's DNS; getent hosts NAME must answer inside it",
  },
  "no-route": {
    scope: "path",
    severity: "error",
    variables: ["IPSEC_REMOTEIP", "IPSEC_LOCALIP"],
    meaning: "the kernel cannot send to the peer: no route, or the local address is not one of this host",
    remedy: "compare `ip route get REMOTEIP from LOCALIP` with the addresses of this host",
  },
  "blocked-by-firewall": {
    scope: "path",
    severity: "error",
    variables: [],
    meaning: "a firewall rule of this host drops what charon sends",
    remedy: "let UDP 500 and 4500 out (nft list ruleset, iptables -S OUTPUT)",
  },
  "peer-silent": {
    scope: "path",
    severity: "error",
    variables: ["IPSEC_REMOTEIP", "IPSEC_LOCALIP"],
    meaning: "the peer does not answer",
    remedy: "check that the peer runs at this address and that UDP 500 and 4500 pass in both directions",
  },
  "ike-refused": {
    scope: "ike",
    severity: "error",
    variables: ["IPSEC_IKECIPHER", "IPSEC_LOCALIP", "IPSEC_REMOTEIP", "IPSEC_KEYEXCHANGE"],
    meaning: "the peer refused: none of our IKE proposals suits it, or it has no connection for our address",
    remedy:
      "agree on IPSEC_IKECIPHER and IPSEC_KEYEXCHANGE with the peer; its log tells which of the two it is",
  },
  "ike-version-mismatch": {
    scope: "ike",
    severity: "error",
    variables: ["IPSEC_KEYEXCHANGE"],
    meaning: "the peer does not speak our version of IKE",
    remedy: "set IPSEC_KEYEXCHANGE to the version that the peer uses",
  },
  "connection-unknown": {
    scope: "ike",
    severity: "warn",
    variables: ["IPSEC_REMOTEIP", "IPSEC_LOCALIP", "IPSEC_KEYEXCHANGE"],
    meaning: "a peer calls for which no connection has these addresses and this version of IKE",
    remedy: "if it is our peer, correct IPSEC_REMOTEIP, IPSEC_LOCALIP or IPSEC_KEYEXCHANGE",
  },
  "ike-proposal-mismatch": {
    scope: "ike",
    severity: "error",
    variables: ["IPSEC_IKECIPHER"],
    meaning: "the peer offers no IKE proposal that we accept",
    remedy: "set IPSEC_IKECIPHER to something that the peer offers, or change the peer",
  },
  "key-exchange-retried": {
    scope: "ike",
    severity: "info",
    variables: ["IPSEC_IKECIPHER", "IPSEC_ESPCIPHER"],
    meaning:
      "initiator and responder prefer different key exchange groups; the initiator tries again by itself",
    remedy: "list the group that both prefer first, which saves a round trip",
  },
  "psk-mismatch": {
    scope: "ike",
    severity: "error",
    variables: ["IPSEC_PSK"],
    meaning: "the two ends have different pre-shared keys",
    remedy: "set the same IPSEC_PSK at both ends; mind 0x and 0s, which mean hex and base64",
  },
  "psk-not-found": {
    scope: "ike",
    severity: "error",
    variables: ["IPSEC_LOCALID", "IPSEC_REMOTEID", "IPSEC_PSK", "IPSEC_AUTH"],
    meaning: "no pre-shared key belongs to this pair of identities",
    remedy:
      "make IPSEC_LOCALID and IPSEC_REMOTEID the identities that the two ends really use, and IPSEC_AUTH the same at both",
  },
  "identity-mismatch": {
    scope: "ike",
    severity: "error",
    variables: ["IPSEC_REMOTEID", "IPSEC_LOCALID"],
    meaning: "an identity is not the one that the other end expects",
    remedy: "set IPSEC_REMOTEID to what the peer calls itself, and IPSEC_LOCALID to what it calls us",
  },
  "authentication-failed": {
    scope: "ike",
    severity: "error",
    variables: ["IPSEC_PSK", "IPSEC_LOCALID", "IPSEC_REMOTEID", "IPSEC_AUTH"],
    meaning: "the peer rejected the pre-shared key or an identity; it does not say which",
    remedy:
      "compare IPSEC_PSK, IPSEC_LOCALID, IPSEC_REMOTEID and IPSEC_AUTH with the peer; its log tells which",
  },
  "private-key-missing": {
    scope: "ike",
    severity: "error",
    variables: ["IPSEC_PRIVATE_KEY", "IPSEC_CERT", "IPSEC_LOCALID"],
    meaning: "no private key belongs to the local identity",
    remedy: "IPSEC_LOCALID must be in the certificate, and the private key must belong to it",
  },
  "certificate-untrusted": {
    scope: "ike",
    severity: "error",
    variables: ["IPSEC_CA_CERT", "IPSEC_REMOTE_CERT", "IPSEC_REMOTEID"],
    meaning: "the peer's certificate is not trusted, or does not carry its identity",
    remedy:
      "set IPSEC_CA_CERT_FILE to the CA of the peer, and IPSEC_REMOTEID to an identity in its certificate",
  },
  "certificate-expired": {
    scope: "ike",
    severity: "error",
    variables: ["IPSEC_CA_CERT", "IPSEC_REMOTE_CERT"],
    meaning: "the peer's certificate, or that of its CA, has expired or is not valid yet",
    remedy: "the peer needs a new certificate, unless the clock of either end is wrong (date -u)",
  },
  "certificate-revoked": {
    scope: "ike",
    severity: "error",
    variables: ["IPSEC_REVOCATION"],
    meaning: "the peer's certificate has been revoked by its CA",
    remedy: "the peer needs a new certificate; find out why the old one was revoked",
  },
  "certificate-status-unknown": {
    scope: "ike",
    severity: "error",
    variables: ["IPSEC_REVOCATION"],
    meaning:
      "nobody could tell whether the peer's certificate was revoked, and IPSEC_REVOCATION=strict asks for it",
    remedy:
      "let this host reach the CRL or OCSP server that the certificate names, or set IPSEC_REVOCATION=relaxed",
  },
  "child-refused": {
    scope: "child",
    severity: "error",
    variables: ["IPSEC_ESPCIPHER"],
    meaning: "the peer refused the tunnel: none of our ESP proposals suits it, or its kernel lacks ESP",
    remedy: "agree on IPSEC_ESPCIPHER with the peer; its log tells which of the two it is",
  },
  "child-proposal-mismatch": {
    scope: "child",
    severity: "error",
    variables: ["IPSEC_ESPCIPHER"],
    meaning: "the peer offers no ESP proposal that we accept",
    remedy: "set IPSEC_ESPCIPHER to something that the peer offers, or change the peer",
  },
  "pfs-mismatch": {
    scope: "child",
    severity: "error",
    variables: ["IPSEC_ESPCIPHER"],
    meaning: "the ESP proposals differ in their key exchange group only (perfect forward secrecy)",
    remedy: "end IPSEC_ESPCIPHER with the same group at both ends, or with none at both",
  },
  "traffic-selector-mismatch": {
    scope: "child",
    severity: "error",
    variables: ["IPSEC_LOCALNET", "IPSEC_REMOTENET"],
    meaning: "the networks of the two ends do not mirror each other",
    remedy: "our IPSEC_LOCALNET must be the peer's remote network, and our IPSEC_REMOTENET its local one",
  },
  "esp-unavailable": {
    scope: "child",
    severity: "error",
    variables: ["IPSEC_DATAPLANE", "IPSEC_ESPCIPHER"],
    meaning: "this kernel cannot do ESP with the chosen algorithms",
    remedy: "load esp4 or esp6 and the cipher's modules on the host, or set IPSEC_DATAPLANE=userspace",
  },
  "policy-refused": {
    scope: "child",
    severity: "error",
    variables: ["IPSEC_LOCALNET", "IPSEC_REMOTENET", "IPSEC_VTI_KEY", "IPSEC_XFRM_IF_ID"],
    meaning: "the kernel refused the IPsec policies, as a rule because another connection has the same ones",
    remedy: "give each connection its own networks or mark; `ip xfrm policy` shows what is there",
  },
  "trap-impossible": {
    scope: "loading",
    severity: "error",
    variables: ["IPSEC_REMOTEIP", "IPSEC_START"],
    meaning: "the tunnel cannot wait for its first packet because the peer's address is not known",
    remedy: "set IPSEC_REMOTEIP to the peer's address, or IPSEC_START=add and let the peer begin",
  },
  "child-failed": {
    scope: "child",
    severity: "error",
    variables: ["IPSEC_ESPCIPHER", "IPSEC_LOCALNET", "IPSEC_REMOTENET"],
    meaning: "the IKE SA stands, but no tunnel came of it",
    remedy: "look at the peer's log, and compare the networks and the ESP proposals",
  },
} as const satisfies Record<string, Omit<Cause, "explains"> & { readonly explains?: readonly string[] }>;

export const causes: Readonly<Record<CauseName, Cause>> = table;
