import type { Endpoint } from "../ipsec/address.ts";
import type { Authentication, Revocation } from "../ipsec/authentication.ts";
import type { Identity } from "../ipsec/identity.ts";
import type { Network } from "../ipsec/network.ts";
import type { Proposal } from "../ipsec/proposal.ts";
import type { PacketRule } from "./packet-rule.ts";
import type { VirtualInterface } from "./virtual-interface.ts";

/** One end of some site-to-site tunnels, in the words of RFC 4301 and RFC 7296; no technology is named. */
export type Gateway = {
  /** Empty when the operator mounts the connections. */
  readonly connections: readonly Connection[];
  readonly virtualInterfaces: readonly VirtualInterface[];
  readonly hostRoutes: readonly HostRoute[];
  readonly packetRules: readonly PacketRule[];
  /** Interfaces that IKE uses; empty for all. */
  readonly interfaces: readonly string[];
  /** What is asked of the certificates of peers. */
  readonly revocation: Revocation;
  /** Log keys exchanges in detail. */
  readonly debug: boolean;
};

/** An IKE peer, and what is protected between it and us. */
export type Connection = {
  readonly name: string;
  /** `any` offers IKEv2 and accepts both. */
  readonly version: "ikev1" | "ikev2" | "any";
  readonly local: End;
  readonly remote: End;
  readonly authentication: Authentication;
  readonly proposals: readonly Proposal[];
  /** The IKE SA ends after this; it is renewed `rekeyMarginSeconds` to twice that before. */
  readonly lifetimeSeconds: number;
  readonly reauthenticate: boolean;
  readonly rekeyMarginSeconds: number;
  /** Carry ESP in UDP even where no NAT is found (RFC 3948). */
  readonly forceUdp: boolean;
  /** Follow a change of address (RFC 4555); not where a VTI fixes both ends. */
  readonly mobile: boolean;
  readonly deadPeer: {
    readonly action: "restart" | "trap" | "clear" | "none";
    readonly delaySeconds: number;
    /** IKEv1 only. */
    readonly timeoutSeconds: number;
  };
  readonly children: readonly ChildSa[];
};

export type End = { readonly endpoint: Endpoint; readonly identity: Identity };

/** What one pair of ESP SAs protects. */
export type ChildSa = {
  readonly name: string;
  readonly localNetworks: readonly Network[];
  readonly remoteNetworks: readonly Network[];
  readonly proposals: readonly Proposal[];
  readonly lifetimeSeconds: number;
  /** Mark of its policies; packets over its VTI carry it. */
  readonly mark?: number;
  /** Identifier of its policies; packets over its XFRM interface have it. */
  readonly interfaceId?: number;
  /** A packet for the remote networks brings it up. */
  readonly onTraffic: boolean;
  /** It comes up with the gateway, and again whenever it is down. */
  readonly atOnce: boolean;
};

/** A route to a remote network in the main table, through the default gateway. */
export type HostRoute = { readonly network: Network; readonly source: Endpoint };
