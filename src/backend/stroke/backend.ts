import type { ChildSa, Connection } from "../../gateway/gateway.ts";
import { endpointText } from "../../ipsec/address.ts";
import { renderProposals } from "../../ipsec/proposal.ts";
import { type Backend, type ConnectionOptions, type DaemonRequest, renderPsk } from "../backend.ts";
import { yesNo } from "../charon-conf.ts";
import { type ConfigFile, marker } from "../config-file.ts";
import { secretOwners } from "../secret-owners.ts";
import { renderIdentity } from "../strongswan-identity.ts";
import { caSections, connCredentials, credentialFiles, privateKeyPath } from "./credential-files.ts";

const connectionFiles = (connection: Connection, options: ConnectionOptions): readonly ConfigFile[] => {
  const { authentication } = connection;
  return [
    {
      path: `/etc/ipsec.config.d/ipsec.${connection.name}.conf`,
      mode: 0o644,
      connection: connection.name,
      ownedByDaemon: false,
      text: options.templates["stroke/connection.conf"]({
        marker,
        // Of all connections: ipsec.conf(5) has it in no `conn`. IPSEC_REVOCATION is of all, too.
        strict: authentication.method === "pubkey" && authentication.revocation === "strict",
        authorities: caSections(connection),
        conns: connection.children.map((child) => conn(connection, child)),
      }),
    },
    {
      path: `/etc/ipsec.secrets.d/ipsec.${connection.name}.secrets`,
      mode: 0o600,
      connection: connection.name,
      ownedByDaemon: true,
      text: options.templates["stroke/connection.secrets"]({
        marker,
        ...(authentication.method === "psk"
          ? { owners: secretOwners(connection), psk: renderPsk(authentication.psk, options) }
          : { privateKey: privateKeyPath(connection.name) }),
      }),
    },
    ...credentialFiles(connection, options),
  ];
};

const unloadChild = ({ name, onTraffic }: ChildSa): readonly DaemonRequest[] => [
  ...(onTraffic ? [{ kind: "program", argv: ["ipsec", "unroute", name], mayFail: true } as const] : []),
  { kind: "program", argv: ["ipsec", "stroke", "delete", name], mayFail: true },
];

const rereadSecrets: DaemonRequest = {
  kind: "program",
  argv: ["ipsec", "rereadsecrets"],
  mayFail: false,
};

/** ipsec.conf(5) and ipsec.secrets(5), which strongSwan's starter loads. */
export const stroke: Backend = {
  name: "stroke",
  directories: ["/etc/ipsec.config.d", "/etc/ipsec.secrets.d"],
  connectionFiles,
  daemon: {
    // Becomes starter; `ipsec` is the same on every distribution.
    command: ["ipsec", "start", "--nofork"],
    program: "ipsec",
    hint: "install strongSwan with its stroke plugin: strongswan on Debian and on Alpine up to 3.23",
    version: ["ipsec", "--version"],
    loadsFiles: true,
  },
  usesStroke: true,
  probe: () => [],
  load: () => [],
  unload: ({ children }) => children.flatMap(unloadChild),
  // Before the connections, since starter may initiate what it loads.
  beforeReload: [rereadSecrets],
  loadMounted: [],
};

/** strongSwan's `conn` is a peer and one of its CHILD SAs together. */
const conn = (connection: Connection, child: ChildSa) => ({
  name: child.name,
  keyexchange: { ikev1: "ikev1", ikev2: "ikev2", any: "ike" }[connection.version],
  left: endpointText(connection.local.endpoint),
  leftid: renderIdentity(connection.local.identity),
  leftsubnet: child.localNetworks.map((network) => network.text).join(","),
  right: endpointText(connection.remote.endpoint),
  rightid: renderIdentity(connection.remote.identity),
  rightsubnet: child.remoteNetworks.map((network) => network.text).join(","),
  credentials: connCredentials(connection),
  ike: renderProposals(connection.proposals),
  esp: renderProposals(child.proposals),
  ikelifetime: connection.lifetimeSeconds,
  lifetime: child.lifetimeSeconds,
  margintime: connection.rekeyMarginSeconds,
  reauth: yesNo(connection.reauthenticate),
  forceencaps: yesNo(connection.forceUdp),
  mobike: yesNo(connection.mobile),
  dpdaction: { restart: "restart", trap: "hold", clear: "clear", none: "none" }[connection.deadPeer.action],
  dpddelay: connection.deadPeer.delaySeconds,
  dpdtimeout: connection.deadPeer.timeoutSeconds,
  mark: child.mark,
  // What comes up at once is initiated by the supervisor: starter would begin all of a thousand together.
  auto: child.onTraffic ? "route" : "add",
});
