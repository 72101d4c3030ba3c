import type { ChildSa, Connection } from "../../gateway/gateway.ts";
import { endpointText } from "../../ipsec/address.ts";
import { renderProposals } from "../../ipsec/proposal.ts";
import { yesNo } from "../charon-conf.ts";
import { endsOf, type Naming } from "./credentials.ts";

/**
 * A connection in the words of swanctl.conf(5). They are those of vici's `load-conn`, too, where a list is a list
 * (strongSwan src/swanctl/commands/load_conns.c, is_list_key), so this is sent as it is and printed as it is.
 * Whatever is not said here has the default that ipsec.conf(5) has.
 */
export const swanctlConnection = (connection: Connection, naming: Naming) => {
  const { lifetimeSeconds, rekeyMarginSeconds, reauthenticate, deadPeer } = connection;
  const renewal = String(lifetimeSeconds - rekeyMarginSeconds);
  return {
    version: { any: "0", ikev1: "1", ikev2: "2" }[connection.version],
    local_addrs: [endpointText(connection.local.endpoint)],
    remote_addrs: [endpointText(connection.remote.endpoint)],
    proposals: renderProposals(connection.proposals).split(","),
    reauth_time: reauthenticate ? renewal : "0",
    rekey_time: reauthenticate ? "0" : renewal,
    over_time: String(rekeyMarginSeconds),
    rand_time: String(rekeyMarginSeconds),
    encap: yesNo(connection.forceUdp),
    mobike: yesNo(connection.mobile),
    dpd_delay: String(deadPeer.action === "none" ? 0 : deadPeer.delaySeconds),
    dpd_timeout: String(deadPeer.timeoutSeconds),
    keyingtries: "0",
    unique: "replace",
    ...(connection.authentication.method === "pubkey" ? { send_cert: "always" } : {}),
    ...endsOf(connection, naming),
    children: Object.fromEntries(
      connection.children.map((child) => [child.name, childOf(child, connection)]),
    ),
  } as const;
};

const childOf = (child: ChildSa, { rekeyMarginSeconds, deadPeer }: Connection) => ({
  local_ts: child.localNetworks.map(({ text }) => text),
  remote_ts: child.remoteNetworks.map(({ text }) => text),
  esp_proposals: renderProposals(child.proposals).split(","),
  life_time: String(child.lifetimeSeconds),
  rekey_time: String(child.lifetimeSeconds - rekeyMarginSeconds),
  rand_time: String(rekeyMarginSeconds),
  dpd_action: { restart: "restart", trap: "trap", clear: "clear", none: "clear" }[deadPeer.action],
  // What comes up at once is initiated by the supervisor: charon would begin all of a thousand together.
  start_action: child.onTraffic ? "trap" : "none",
  ...(child.mark === undefined ? {} : { mark_in: String(child.mark), mark_out: String(child.mark) }),
  ...(child.interfaceId === undefined
    ? {}
    : { if_id_in: String(child.interfaceId), if_id_out: String(child.interfaceId) }),
});
