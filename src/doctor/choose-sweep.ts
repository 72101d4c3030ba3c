import { ethernetMtu } from "../gateway/path-mtu.ts";
import type { RunProgram } from "../host/run-program.ts";
import type { Address } from "../ipsec/address.ts";
import { networkOfHost, overlaps } from "../ipsec/network.ts";
import type { GatewayStatus } from "../status/status-schema.ts";
import type { MtuRequest } from "./check-mtu.ts";
import { type CheckResult, result } from "./check-result.ts";
import type { Link } from "./list-links.ts";
import { lookUpRoute } from "./look-up-route.ts";
import type { Pair } from "./protected-traffic.ts";

export type SweepWish = {
  readonly status: GatewayStatus | undefined;
  /** Of `--target`, else the peer's address on the virtual interface. */
  readonly target: Address | undefined;
  readonly pairs: readonly Pair[];
  readonly links: readonly Link[];
};

/** What to ping, and from where; or why that cannot be. Without a tunnel the pings would bring one up. */
export const chooseSweep = async (
  { status, target, pairs, links }: SweepWish,
  runProgram: RunProgram,
): Promise<MtuRequest | CheckResult> => {
  if (status === undefined) return skipped("no gateway runs here, so there is no tunnel to measure");
  if (target === undefined) {
    return skipped("nobody is known beyond the tunnel that answers pings", "name one with --target ADDRESS");
  }
  const fitting = pairs.filter(({ remote }) => overlaps(remote, networkOfHost(target)));
  const pair = fitting.find(({ virtual }) => virtual !== undefined) ?? fitting[0];
  if (pair === undefined)
    return skipped(`${target.text} is in none of the peer's networks`, "name an address of IPSEC_REMOTENET");
  const isUp = status.connections.some(({ children }) => children.some(({ state }) => state === "up"));
  if (!isUp) return skipped("no tunnel is up, so there is none to measure");

  const source = sourceFor(fitting, links);
  const route = await lookUpRoute(target.text, source?.text, runProgram);
  const device = links.find(({ name }) => name === (route.ok ? route.device : undefined));
  const virtual = device?.name === pair.virtual ? device : undefined;
  if (source === undefined && virtual === undefined) {
    return skipped(
      "this host has no address in the local networks to send from",
      `from a host in IPSEC_LOCALNET: ping -M do -s 1350 ${target.text}`,
    );
  }
  return {
    family: target.family,
    target: target.text,
    ...(source === undefined ? {} : { source: source.text }),
    highest: Math.min(device?.mtu ?? ethernetMtu, largestMtu),
    ...(virtual === undefined ? {} : { virtual }),
  };
};

/** Of jumbo frames; the loopback's would only cost time. */
const largestMtu = 9000;

const skipped = (message: string, hint?: string): CheckResult => result("mtu", "skipped", message, { hint });

/** An address of this host that the tunnel takes packets from; undefined also where any will do. */
const sourceFor = (pairs: readonly Pair[], links: readonly Link[]): Address | undefined =>
  links
    .flatMap(({ addresses }) => addresses)
    .find((own) => pairs.some(({ local }) => local.prefixLength > 0 && overlaps(local, networkOfHost(own))));
