import type { Dataplane } from "../../gateway/dataplane.ts";
import type { ChildSa, Connection, Gateway } from "../../gateway/gateway.ts";
import { renderProposals } from "../../ipsec/proposal.ts";
import { masked, type Secret } from "../../secret.ts";
import { yesNo } from "../charon-conf.ts";
import { type ConfigFile, marker } from "../config-file.ts";
import { renderEndpoint, renderIdentity } from "../strongswan-identity.ts";
import type { Templates } from "../templates.ts";

export type RenderOptions = {
  readonly templates: Templates;
  readonly dataplane: Dataplane;
  /** How a secret appears; it is masked unless the files are really written. */
  readonly showSecret?: (secret: Secret) => string;
};

/** Renders ipsec.conf(5) and ipsec.secrets(5) for every connection, a file each. */
export const renderConnections = (gateway: Gateway, options: RenderOptions): readonly ConfigFile[] =>
  gateway.connections.flatMap((connection) => [
    {
      path: `/etc/ipsec.config.d/ipsec.${connection.name}.conf`,
      mode: 0o644,
      ownedByDaemon: false,
      text: options.templates["stroke/connection.conf"]({
        marker,
        conns: connection.children.map((child) => conn(connection, child)),
      }),
    },
    {
      path: `/etc/ipsec.secrets.d/ipsec.${connection.name}.secrets`,
      mode: 0o600,
      ownedByDaemon: true,
      text: options.templates["stroke/connection.secrets"]({
        marker,
        owners: secretOwners(connection),
        psk: (options.showSecret ?? (() => masked))(connection.authentication.psk),
      }),
    },
  ]);

/**
 * The one spelling of a key that ipsec.secrets takes for any bytes: quoted ones end at the next quote,
 * bare ones at a space, and neither can hold a newline.
 */
export const revealedAsBase64 = (psk: Secret): string => `0s${Buffer.from(psk.reveal()).toString("base64")}`;

/** strongSwan's `conn` is a peer and one of its CHILD SAs together. */
const conn = (connection: Connection, child: ChildSa) => ({
  name: child.name,
  keyexchange: { ikev1: "ikev1", ikev2: "ikev2", any: "ike" }[connection.version],
  left: renderEndpoint(connection.local.endpoint),
  leftid: renderIdentity(connection.local.identity),
  leftsubnet: child.localNetworks.map((network) => network.text).join(","),
  right: renderEndpoint(connection.remote.endpoint),
  rightid: renderIdentity(connection.remote.identity),
  rightsubnet: child.remoteNetworks.map((network) => network.text).join(","),
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
  // With both, the trap is set here and the supervisor initiates: ipsec.conf has no word for both.
  auto: child.onTraffic ? "route" : child.atOnce ? "start" : "add",
});

/**
 * Whose key it is. IKEv1 main mode must find it before any identity is known, by the addresses (RFC 2409 §5.4);
 * an address that is not known beforehand is any.
 */
const secretOwners = (connection: Connection): readonly string[] => {
  const identities = [renderIdentity(connection.local.identity), renderIdentity(connection.remote.identity)];
  if (connection.version === "ikev2") return identities;
  const addresses = [connection.local.endpoint, connection.remote.endpoint].map((endpoint) =>
    endpoint.kind === "address" ? endpoint.address.text : "%any",
  );
  return [...new Set([...identities, ...addresses])];
};
