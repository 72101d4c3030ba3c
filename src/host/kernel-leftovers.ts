import type { Gateway } from "../gateway/gateway.ts";
import { tieText } from "../gateway/virtual-interface.ts";
import { isDefaultRoute, type Network, overlaps, parseNetwork } from "../ipsec/network.ts";
import { pairsOf } from "../ipsec/network-pairs.ts";
import type { Log } from "../observe/log.ts";
import type { RunProgram } from "./run-program.ts";
import { type Argv, pasteable } from "./step.ts";

/**
 * Takes out of the kernel what a charon that was killed had put there: the rule that leads to its routing table, the
 * routes in it, and the policies and SAs between our networks. Those of others are left alone.
 */
export const removeKernelLeftovers = async (
  gateway: Gateway,
  { runProgram, log }: { readonly runProgram: RunProgram; readonly log: Log },
): Promise<void> => {
  const listings = await Promise.all(
    (["-4", "-6"] as const).map(async (family) => {
      const rules = await runProgram(["ip", family, "-json", "rule", "show"]);
      const routes = await runProgram(["ip", family, "-json", "route", "show", "table", routingTable]);
      return routingLeftovers(family, entriesIn(rules.stdout), entriesIn(routes.stdout));
    }),
  );
  const policies = policyLeftovers((await runProgram(["ip", "xfrm", "policy"])).stdout, gateway);
  for (const argv of [...listings.flat(), ...policies]) {
    log.info({ event: "host-restored", command: pasteable(argv) }, "take back what a killed charon left");
    const { exitCode, stderr } = await runProgram(argv);
    if (exitCode !== 0)
      log.warn({ command: pasteable(argv), reason: stderr }, "could not take back a change");
  }
};

/** charon's own table and the priority of its rule (charon.routing_table and _prio of strongswan.conf(5)). */
const routingTable = "220";

type Entry = { readonly priority?: number; readonly table?: string };

const entriesIn = (json: string): readonly Entry[] => {
  try {
    return JSON.parse(json) as readonly Entry[];
  } catch {
    // Nothing, for a table that was never used or a kernel without that family.
    return [];
  }
};

const routingLeftovers = (
  family: "-4" | "-6",
  rules: readonly Entry[],
  routes: readonly Entry[],
): readonly Argv[] => [
  ...rules
    .filter(({ priority, table }) => priority === Number(routingTable) && table === routingTable)
    .map((): Argv => ["ip", family, "rule", "del", "pref", routingTable, "table", routingTable]),
  ...(routes.length === 0 ? [] : [["ip", family, "route", "flush", "table", routingTable] as Argv]),
];

/**
 * The commands that delete the policies of our networks in the text of `ip xfrm policy`, and the SAs that they name.
 * A peer may have narrowed the networks, so part of them is enough. Policies with another mark or interface are others'.
 */
const policyLeftovers = (text: string, gateway: Gateway): readonly Argv[] => {
  const pairs = gateway.connections.flatMap(({ children }) =>
    children.flatMap((child) =>
      pairsOf(child.localNetworks, child.remoteNetworks).map((pair) => ({ ...pair, tie: tieText(child) })),
    ),
  );
  const isOurs = (source: Network, destination: Network, tieFound: string): boolean =>
    pairs.some(
      ({ local, remote, tie }) =>
        tie === tieFound &&
        ((isPart(source, local) && isPart(destination, remote)) ||
          (isPart(source, remote) && isPart(destination, local))),
    );
  const commands = text.split(/\n(?=\S)/).flatMap((entry): readonly Argv[] => {
    const [, source = "", destination = ""] = /^src (\S+) dst (\S+)/.exec(entry) ?? [];
    const direction = /\bdir (in|out|fwd)\b/.exec(entry)?.[1];
    const template = /\btmpl src (\S+) dst (\S+)\s+proto esp\b.* reqid (\d+)/.exec(entry);
    const [from, to] = [parseNetwork(source), parseNetwork(destination)];
    // Without a reqid it was not made by an IKE daemon.
    if (direction === undefined || !from.ok || !to.ok || template === null || template[3] === "0") return [];
    const mark = /\bmark (\S+)\/(\S+)/.exec(entry);
    const interfaceId = /\bif_id (\S+)/.exec(entry);
    const tie = tieText({
      ...(mark === null ? {} : { mark: mark[2] === wholeMark ? Number(mark[1]) : Number.NaN }),
      ...(interfaceId === null ? {} : { interfaceId: Number(interfaceId[1]) }),
    });
    if (!isOurs(from.value.network, to.value.network, tie)) return [];
    const [, tunnelSource = "", tunnelDestination = "", reqid = ""] = template;
    return [
      [
        ...(["ip", "xfrm", "policy", "delete", "src", source, "dst", destination, "dir", direction] as const),
        ...(mark === null ? [] : ["mark", mark[1] as string, "mask", mark[2] as string]),
        ...(interfaceId === null ? [] : ["if_id", interfaceId[1] as string]),
      ],
      [
        ...(["ip", "xfrm", "state", "deleteall", "src", tunnelSource, "dst", tunnelDestination] as const),
        ...["proto", "esp", "reqid", reqid],
      ],
    ];
  });
  const once = new Map(commands.map((argv) => [pasteable(argv), argv]));
  return [...once.values()];
};

/** The mask of a mark that charon installs for a VTI. */
const wholeMark = "0xffffffff";

/** Everything is part of everything only. */
const isPart = (found: Network, ours: Network): boolean =>
  overlaps(found, ours) && (!isDefaultRoute(found) || isDefaultRoute(ours));
