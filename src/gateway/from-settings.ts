import type { Address, InterfaceAddress } from "../ipsec/address.ts";
import type { Network } from "../ipsec/network.ts";
import type { Proposal } from "../ipsec/proposal.ts";
import { usableWithIkev1 } from "../ipsec/proposal-checks.ts";
import { memoized } from "../memoized.ts";
import { ipv6Inside, leastIpv6Mtu } from "../settings/packet-checks.ts";
import type { ConnectionSettings, Settings, Values } from "../settings/settings.ts";
import { virtualInterfaceVariable } from "../settings/virtual-interface-variable.ts";
import type { ChildSa, Connection, Gateway, HostRoute } from "./gateway.ts";
import { packetRulesFor } from "./packet-rule.ts";
import { type PathMtu, usualPathMtu } from "./path-mtu.ts";
import {
  joinInterfaces,
  type LinkAddress,
  mtuFor,
  type VirtualInterface,
  vtiName,
  withPeersTaken,
  xfrmName,
} from "./virtual-interface.ts";

/** Builds the model from checked settings, and from what is known of the ways to the peers. */
export const buildGateway = (settings: Settings, pathMtu: PathMtu = usualPathMtu): Gateway => {
  const { gateway, connections, tunnels } = settings;
  const interfaces = tunnels.map((values) => buildVirtualInterface(values, pathMtu));
  const peers = tunnels.map(({ IPSEC_REMOTEIP: peer }) => peer);
  return {
    connections: connections.map(buildConnection),
    virtualInterfaces: joinInterfaces(interfaces.flatMap((one) => one ?? [])).map((one) =>
      withPeersTaken(one, peers),
    ),
    hostRoutes: tunnels.flatMap(buildHostRoutes),
    packetRules: tunnels.flatMap((values, index) => packetRulesFor(values, interfaces[index], pathMtu)),
    interfaces: gateway.IPSEC_INTERFACES ?? [],
    revocation: gateway.IPSEC_REVOCATION,
    debug: gateway.DEBUG,
  };
};

const buildConnection = memoized(
  (values: ConnectionSettings): Connection => ({
    name: values.IPSEC_NAME,
    version: versions[values.IPSEC_KEYEXCHANGE],
    local: { endpoint: values.IPSEC_LOCALIP, identity: values.IPSEC_LOCALID },
    remote: { endpoint: values.IPSEC_REMOTEIP, identity: values.IPSEC_REMOTEID },
    authentication: values.authentication,
    proposals: offered(values, values.IPSEC_IKECIPHER),
    lifetimeSeconds: values.IPSEC_IKELIFETIME,
    reauthenticate: values.IPSEC_IKEREAUTH,
    rekeyMarginSeconds: rekeyMargin(Math.min(values.IPSEC_LIFETIME, values.IPSEC_IKELIFETIME)),
    forceUdp: values.IPSEC_FORCEUDP,
    mobile: values.IPSEC_VTI_KEY === undefined,
    deadPeer: {
      action: deadPeerAction(values),
      delaySeconds: values.IPSEC_DPD_DELAY,
      timeoutSeconds: values.IPSEC_DPD_TIMEOUT,
    },
    children: buildChildren(values),
  }),
);

const versions = { ikev1: "ikev1", ikev2: "ikev2", ike: "any" } as const;

/**
 * strongSwan's default of nine minutes for an hour's keys, and in proportion below. The renewal is drawn from
 * once to twice the margin before the end, so that both ends seldom start it together.
 */
const rekeyMargin = (lifetimeSeconds: number): number => Math.min(540, Math.floor(lifetimeSeconds * 0.15));

/** Whoever calls from anywhere can only call again; and a tunnel that only the peer starts is not restarted here. */
const deadPeerAction = (values: ConnectionSettings): Connection["deadPeer"]["action"] => {
  const { IPSEC_DPD_ACTION: wanted, IPSEC_REMOTEIP: remote, IPSEC_START: start } = values;
  if (wanted === "none") return "none";
  if (remote.kind === "any") return "clear";
  return start === "add" && wanted === "restart" ? "clear" : wanted;
};

const offered = (values: ConnectionSettings, proposals: readonly Proposal[]): readonly Proposal[] =>
  values.IPSEC_KEYEXCHANGE === "ikev1" ? usableWithIkev1(proposals) : proposals;

/** IKEv2 negotiates lists of networks in one CHILD SA; an IKEv1 quick mode knows one pair (RFC 2409 §5.5). */
const buildChildren = (values: ConnectionSettings): readonly ChildSa[] => {
  const { IPSEC_NAME: name } = values;
  const local = distinct(values.IPSEC_LOCALNET);
  const remote = distinct(values.IPSEC_REMOTENET);
  if (values.IPSEC_KEYEXCHANGE !== "ikev1") return [buildChild(values, name, local, remote)];
  const pairs = local.flatMap((one) =>
    remote.filter(({ family }) => family === one.family).map((other) => [one, other] as const),
  );
  if (pairs.length === 1) return pairs.map(([one, other]) => buildChild(values, name, [one], [other]));
  // An underscore cannot be part of a connection's name, so these names are never another connection's.
  return pairs.map(([one, other], index) => buildChild(values, `${name}_${index + 1}`, [one], [other]));
};

const buildChild = (
  values: ConnectionSettings,
  name: string,
  localNetworks: readonly Network[],
  remoteNetworks: readonly Network[],
): ChildSa => {
  const canInitiate = values.IPSEC_REMOTEIP.kind !== "any";
  const start = values.IPSEC_START;
  return {
    name,
    localNetworks,
    remoteNetworks,
    proposals: offered(values, values.IPSEC_ESPCIPHER),
    lifetimeSeconds: values.IPSEC_LIFETIME,
    ...(values.IPSEC_VTI_KEY === undefined ? {} : { mark: values.IPSEC_VTI_KEY }),
    ...(values.IPSEC_XFRM_IF_ID === undefined ? {} : { interfaceId: values.IPSEC_XFRM_IF_ID }),
    onTraffic: canInitiate && (start === "route" || start === "route,start"),
    atOnce: canInitiate && (start === "start" || start === "route,start"),
  };
};

const buildVirtualInterface = (values: Values, pathMtu: PathMtu): VirtualInterface | undefined => {
  const { IPSEC_VTI_KEY: key, IPSEC_XFRM_IF_ID: interfaceId } = values;
  const { IPSEC_LOCALIP: local, IPSEC_REMOTEIP: remote } = values;
  const shared = { peers: [remote], mtu: mtuOf(values, pathMtu) };
  if (key !== undefined) {
    const { IPSEC_VTI_IPADDR_LOCAL: address, IPSEC_VTI_IPADDR_PEER: peer } = values;
    return {
      kind: "vti",
      name: vtiName(key),
      key,
      local,
      remote,
      addresses: linkAddresses(address && [address], peer && [peer]),
      routes: distinct(values.IPSEC_VTI_STATICROUTES ?? []),
      ...shared,
    };
  }
  if (interfaceId === undefined) return undefined;
  return {
    kind: "xfrm",
    name: xfrmName(interfaceId),
    interfaceId,
    addresses: linkAddresses(values.IPSEC_XFRM_IPADDR_LOCAL, values.IPSEC_XFRM_IPADDR_PEER),
    routes: distinct(values.IPSEC_XFRM_STATICROUTES ?? []),
    ...shared,
  };
};

/** Each address with the peer's of its family. */
const linkAddresses = (
  locals: readonly InterfaceAddress[] = [],
  peers: readonly Address[] = [],
): readonly LinkAddress[] =>
  locals.map((local) => {
    const peer = peers.find(({ family }) => family === local.address.family);
    return peer === undefined ? { local } : { local, peer };
  });

/** Where too little fits for IPv6, its packets are fragmented after encryption rather than refused. */
const mtuOf = (values: Values, pathMtu: PathMtu): number | undefined => {
  if (values.IPSEC_MTU === "off") return undefined;
  if (values.IPSEC_MTU !== "auto") return values.IPSEC_MTU;
  const fitting = mtuFor(values, values.IPSEC_FORCEUDP, pathMtu);
  return ipv6Inside(values) === undefined ? fitting : Math.max(fitting, leastIpv6Mtu);
};

/** None past a virtual interface, since only what passes that is protected. */
const buildHostRoutes = (values: Values): readonly HostRoute[] =>
  values.SET_ROUTE_DEFAULT_TABLE && virtualInterfaceVariable(values) === undefined
    ? distinct(values.IPSEC_REMOTENET ?? []).map((network) => ({ network, source: values.IPSEC_LOCALIP }))
    : [];

/** A network that is listed twice, perhaps in two spellings, would be a route or a policy that is there already. */
const distinct = (networks: readonly Network[]): readonly Network[] => [
  ...new Map(networks.map((network) => [network.text, network])).values(),
];
