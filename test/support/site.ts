import { delimiter, dirname } from "node:path";
import { type Capture, type CaptureOptions, capture } from "./capture.ts";
import type { DataPlane } from "./data-plane.ts";
import { defaultSearchPath, type Namespace } from "./namespace.ts";
import { type Peer, type PeerRequest, startPeer } from "./peer.ts";
import { type ContinuousPing, continuousPing, type PingOptions, type PingResult, ping } from "./ping.ts";
import { repository } from "./repository.ts";
import type { Environment, SiteProcess } from "./site-process.ts";
import { type Snapshot, snapshot } from "./snapshot.ts";
import type { PeerConnection } from "./swanctl-conf.ts";

/** Something in the lab that has a network of its own: a site, or the router between them. */
export type Node = Namespace & {
  readonly capture: (filter?: string, options?: CaptureOptions) => Promise<Capture>;
  readonly snapshot: () => Promise<Snapshot>;
};

export type Addresses = {
  /** The endpoint, on `eth0`. */
  readonly address: string;
  /** The endpoint in IPv6, which it has only in a lab with `ipv6`. */
  readonly address6: string;
  /** The protected networks, in canonical form. */
  readonly networks: readonly string[];
  /** The first address of each protected network, on `lo`. */
  readonly hosts: readonly string[];
};

/** One end of a tunnel. */
export type Site = Node &
  Addresses & {
    /** The first of `hosts`. */
    readonly host: string;
    /** From the first inner host of the same family, unless the address is an endpoint or `from` says otherwise. */
    readonly ping: (
      address: string,
      options?: PingOptions & { readonly count?: number },
    ) => Promise<PingResult>;
    readonly continuousPing: (address: string, options?: PingOptions) => ContinuousPing;
    /**
     * Our command in this site, `run` without `args`, with this environment, a PATH and IPSEC_DATAPLANE, and nothing else.
     * Which command: `src/main.ts`, or the words of VNF_IPSEC_COMMAND, relative to the repository.
     */
    readonly gateway: (
      environment: Environment,
      options?: { readonly args?: readonly string[] },
    ) => SiteProcess;
    /**
     * A strongSwan without anything of ours. Of a connection only the key has to be said: the rest is by default a
     * tunnel of all networks to the site opposite.
     */
    readonly peer: (request: SitePeerRequest) => Promise<Peer>;
  };

export type SitePeerRequest = Omit<PeerRequest, "connections"> & {
  readonly connections?: readonly (Partial<PeerConnection> & Pick<PeerConnection, "psk">)[];
};

export const makeNode = (namespace: Namespace): Node => ({
  ...namespace,
  capture: (filter, options) => capture(namespace, filter, options),
  snapshot: () => snapshot(namespace),
});

export const makeSite = (
  namespace: Namespace,
  addresses: Addresses,
  opposite: Addresses,
  dataPlane: DataPlane,
): Site => {
  const withSource = (address: string, options: PingOptions): PingOptions => {
    const family = address.includes(":");
    const from = isEndpoint(address)
      ? undefined
      : addresses.hosts.find((host) => host.includes(":") === family);
    return from === undefined ? options : { from, ...options };
  };
  return {
    ...makeNode(namespace),
    ...addresses,
    host: addresses.hosts[0] ?? addresses.address,
    ping: (address, { count, ...options } = {}) =>
      ping(namespace, address, {
        ...withSource(address, options),
        ...(count === undefined ? {} : { count }),
      }),
    continuousPing: (address, options = {}) =>
      continuousPing(namespace, address, withSource(address, options)),
    gateway: (environment, { args = ["run"] } = {}) =>
      namespace.spawn([...gatewayCommand(), ...args], {
        env: { PATH: searchPath, IPSEC_DATAPLANE: dataPlane, ...environment },
        label: `gateway ${args.join(" ")}`,
      }),
    peer: ({ connections = [], ...request }) =>
      startPeer(namespace, dataPlane, {
        ...request,
        connections: connections.map((connection) => ({
          localAddress: addresses.address,
          remoteAddress: opposite.address,
          localNetworks: addresses.networks,
          remoteNetworks: opposite.networks,
          ...connection,
        })),
      }),
  };
};

const isEndpoint = (address: string): boolean => /^(?:192\.0\.2\.|2001:db8::)/.test(address);

/** `node` must be the one that runs the tests: the host's own may be too old. */
const searchPath = [dirname(process.execPath), defaultSearchPath].join(delimiter);

const gatewayCommand = (): [string, ...string[]] => {
  const [program, ...words] = (process.env.VNF_IPSEC_COMMAND ?? "").split(" ").filter(Boolean);
  return program === undefined ? [process.execPath, `${repository}/src/main.ts`] : [program, ...words];
};
