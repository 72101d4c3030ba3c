import type { RunProgram } from "../host/run-program.ts";
import { type Address, type Endpoint, parseRemoteEndpoint } from "../ipsec/address.ts";
import { networkOfHost } from "../ipsec/network.ts";
import type { Values } from "../settings/settings.ts";
import type { GatewayStatus } from "../status/status-schema.ts";
import { checkFirewall, type Ends } from "./check-firewall.ts";
import { checkPeer, type PeerRequest } from "./check-peer.ts";
import { type CheckResult, result } from "./check-result.ts";
import type { Link } from "./list-links.ts";
import type { Ruleset } from "./ruleset.ts";

/** The ends of a tunnel as configured. */
export type EndsRequest = PeerRequest & Pick<Ends, "plainEsp" | "onlyAnswers">;

/** The way to each peer, and whether the firewall lets IKE and ESP pass on it. */
export const checkEnds = async (
  requests: readonly EndsRequest[],
  ruleset: Ruleset | undefined,
  links: readonly Link[],
  runProgram: RunProgram,
): Promise<readonly CheckResult[]> => {
  if (requests.length === 0) {
    const why = "the ends of the tunnel are not known, since the settings are wrong or nothing is loaded";
    return [result("route", "skipped", why), ...checkFirewall(ruleset, [anyEnds])];
  }
  const found = await Promise.all(
    requests.map(async (request) => {
      const peer = await checkPeer(request, links, runProgram);
      return { results: peer.results, ends: endsOf(request, peer) };
    }),
  );
  const ends = found.map((one) => one.ends);
  return [...found.flatMap(({ results }) => results), ...checkFirewall(ruleset, ends)];
};

/** As the variables say. */
export const endsOfVariables = (values: Values, status: GatewayStatus | undefined): EndsRequest => ({
  local: values.IPSEC_LOCALIP,
  remote: values.IPSEC_REMOTEIP,
  interfaces: values.IPSEC_INTERFACES ?? [],
  names: { local: "IPSEC_LOCALIP", remote: "IPSEC_REMOTEIP" },
  plainEsp: !values.IPSEC_FORCEUDP || hasPlainEsp(status?.connections ?? []),
  onlyAnswers: values.IPSEC_REMOTEIP.kind === "any" || values.IPSEC_START === "add",
});

/** As the daemon has loaded what the operator mounted; it does not tell who begins. */
export const endsOfMounted = (values: Values, status: GatewayStatus | undefined): readonly EndsRequest[] =>
  (status?.connections ?? []).map((connection) => ({
    local: endpointOf(connection.local.address),
    remote: endpointOf(connection.remote.address),
    interfaces: values.IPSEC_INTERFACES ?? [],
    names: { local: "left", remote: "right" },
    plainEsp: hasPlainEsp([connection]),
    onlyAnswers: false,
  }));

const anyEnds: Ends = { family: "ipv4", plainEsp: false, onlyAnswers: false };

const endsOf = (
  { local, plainEsp, onlyAnswers }: EndsRequest,
  { remote, device }: { readonly remote?: Address; readonly device?: string },
): Ends => {
  const own = local.kind === "address" ? local.address : undefined;
  return {
    family: remote?.family ?? own?.family ?? "ipv4",
    local: own && networkOfHost(own),
    remote: remote && networkOfHost(remote),
    device,
    plainEsp,
    onlyAnswers,
  };
};

const hasPlainEsp = (connections: GatewayStatus["connections"]): boolean =>
  connections.some(({ children }) => children.some(({ sa }) => sa?.inUdp === false));

/** The first of those that are listed; networks and ranges are as good as anything. */
const endpointOf = (addresses: string): Endpoint => {
  const endpoint = parseRemoteEndpoint(addresses.split(",")[0] ?? "");
  return endpoint.ok ? endpoint.value : { kind: "any" };
};
