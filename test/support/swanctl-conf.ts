/**
 * A connection of a peer, in swanctl.conf(5)'s terms. Written by hand here, not by the product, so that a tunnel
 * between the two proves that the product's reading of its variables is the common one.
 */
export type PeerConnection = {
  readonly name?: string;
  /** 0 offers IKEv2 and accepts both. */
  readonly version?: 0 | 1 | 2;
  readonly localAddress: string;
  readonly remoteAddress: string;
  /** As in swanctl.conf; the addresses without them. */
  readonly localId?: string;
  readonly remoteId?: string;
  readonly psk: Uint8Array;
  readonly localNetworks: readonly string[];
  readonly remoteNetworks: readonly string[];
  readonly proposals?: string;
  readonly espProposals?: string;
  readonly startAction?: "none" | "trap" | "start";
  /** Further lines of the connection, such as `dpd_delay = 2s`, and of each child, such as `rekey_time = 10s`. */
  readonly connectionLines?: readonly string[];
  readonly childLines?: readonly string[];
};

export const swanctlConf = (connections: readonly PeerConnection[]): string => `connections {
${connections.map(connectionSection).join("\n")}
}
secrets {
${connections.map(secretSection).join("\n")}
}
`;

/** The product's defaults, which an administrator of another make of gateway would be told. */
const defaultProposals = "aes192gcm16-aes128gcm16-prfsha256-ecp256-ecp521,aes192-sha256-modp3072";
const defaultEspProposals = "aes192gcm16-aes128gcm16-ecp256,aes192-sha256-modp3072";

const connectionSection = (connection: PeerConnection): string => `  ${nameOf(connection)} {
    version = ${connection.version ?? 2}
    local_addrs = ${connection.localAddress}
    remote_addrs = ${connection.remoteAddress}
    proposals = ${connection.proposals ?? defaultProposals}
    unique = replace
    keyingtries = 0
    ${(connection.connectionLines ?? []).join("\n    ")}
    local {
      auth = psk
      id = ${quote(connection.localId ?? connection.localAddress)}
    }
    remote {
      auth = psk
      id = ${quote(connection.remoteId ?? connection.remoteAddress)}
    }
    children {
${networkPairs(connection)
  .map((pair, index) => childSection(connection, pair, index))
  .join("\n")}
    }
  }`;

type NetworkPair = { readonly local: readonly string[]; readonly remote: readonly string[] };

/** IKEv1 carries one network a side in each quick mode (RFC 2407 4.6.2), so each pair is a child of its own. */
const networkPairs = ({ version, localNetworks, remoteNetworks }: PeerConnection): NetworkPair[] =>
  version === 1
    ? localNetworks.flatMap((local) => remoteNetworks.map((remote) => ({ local: [local], remote: [remote] })))
    : [{ local: localNetworks, remote: remoteNetworks }];

const childSection = (connection: PeerConnection, pair: NetworkPair, index: number): string => `      ${
  index === 0 ? nameOf(connection) : `${nameOf(connection)}-${index + 1}`
} {
        local_ts = ${pair.local.join(",")}
        remote_ts = ${pair.remote.join(",")}
        esp_proposals = ${connection.espProposals ?? defaultEspProposals}
        start_action = ${connection.startAction ?? "none"}
        ${(connection.childLines ?? []).join("\n        ")}
      }`;

/** An IKEv1 responder in main mode knows the peer by its address only when it needs the key (RFC 2409 5.4). */
const secretSection = (connection: PeerConnection): string => {
  const owners = [
    connection.localId ?? connection.localAddress,
    connection.remoteId ?? connection.remoteAddress,
    ...(connection.version === 2 ? [] : [connection.localAddress, connection.remoteAddress]),
  ].filter((owner) => owner !== "%any");
  return `  ike-${nameOf(connection)} {
${[...new Set(owners)].map((owner, index) => `    id-${index} = ${quote(owner)}`).join("\n")}
    secret = 0x${Buffer.from(connection.psk).toString("hex")}
  }`;
};

const nameOf = (connection: PeerConnection): string => connection.name ?? "site";

/** strongswan.conf(5): within quotes only `\` and `"` are special. */
const quote = (value: string): string => `"${value.replace(/[\\"]/g, "\\$&")}"`;
