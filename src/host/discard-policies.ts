import type { Dataplane } from "../gateway/dataplane.ts";
import type { Gateway } from "../gateway/gateway.ts";
import type { Network } from "../ipsec/network.ts";
import { applySteps, type Effects, undo, undoAll } from "./apply.ts";
import { planNeighbourPolicies } from "./neighbour-policies.ts";
import { type Argv, pasteable, type Step } from "./step.ts";

/**
 * Has the kernel discard what the gateway protects as long as charon has no policy for it: while it starts, when it
 * has died, when a tunnel that is not to wait for traffic is down. Otherwise such packets would leave in clear.
 * What was discarded for a former gateway or configuration, and not for this one, no longer is. What it is surely
 * discarded for already, as `present` says, is left as it is.
 */
export const moveDiscardPolicies = async (
  dataplane: Dataplane,
  gateway: Gateway,
  effects: Effects,
  present?: Gateway,
): Promise<void> => {
  const steps = planDiscardPolicies(dataplane, gateway);
  const wanted = new Set(steps.map(({ undo }) => JSON.stringify(undo)));
  const outdated = effects.journal
    .entries()
    .filter((argv) => isDiscardUndo(argv) && !wanted.has(JSON.stringify(argv)));
  await undo(outdated, effects);
  // The deletion of a network's policies also hits those of its parts.
  const former = present === undefined || outdated.length > 0 ? [] : planDiscardPolicies(dataplane, present);
  const made = new Set(former.map(({ argv }) => pasteable(argv)));
  await applySteps(
    steps.filter(({ argv }) => !made.has(pasteable(argv))),
    effects,
  );
};

/** Takes back everything in the journal that a predecessor left, but for what keeps packets from leaving in clear. */
export const undoAllButDiscarding = (effects: Effects): Promise<void> =>
  undo(
    effects.journal.entries().filter((argv) => !isDiscardUndo(argv)),
    effects,
  );

/** Takes back everything in the journal, the last change first, and so what keeps packets from leaving in clear at the very end. */
export const undoEverything = async (effects: Effects): Promise<void> => {
  await undoAllButDiscarding(effects);
  const deletions = effects.journal.entries().filter((argv) => argv.includes("block"));
  if (deletions.length > deletedOneByOne) {
    // No batch goes on after a deletion, but one without networks takes them all.
    await undo([[...deletion, ...discard]], effects);
    effects.journal.drop(deletions);
  }
  await undoAll(effects);
};

/**
 * DISCARD policies (RFC 4301 §4.4.1) of a priority below all of charon's. The kernel holds one policy for each selector and mark, so
 * charon's would replace ours and leave nothing when it goes. Hence two of ours, for packets with and without the lowest
 * bit in their mark: every packet fits one, and neither is charon's. A connection with a virtual interface needs none: what
 * is routed there is not sent without an SA (net/ipv4/ip_vti.c, vti_xmit; net/xfrm/xfrm_interface_core.c, xfrmi_xmit2),
 * and what is not is not protected, often everything else that the host sends.
 */
export const planDiscardPolicies = (dataplane: Dataplane, gateway: Gateway): readonly Step[] => {
  // ESP in user space takes its packets by routes, after they have passed the kernel's policies.
  if (dataplane === "userspace") return [];
  return gateway.connections.flatMap((connection) =>
    connection.children
      .filter(({ mark, interfaceId }) => mark === undefined && interfaceId === undefined)
      .flatMap(({ localNetworks, remoteNetworks }) =>
        localNetworks.flatMap((local) =>
          remoteNetworks
            .filter(({ family }) => family === local.family)
            .flatMap((remote) => [
              ...discardBetween(local, remote),
              ...planNeighbourPolicies(connection, local, remote),
            ]),
        ),
      ),
  );
};

const discardBetween = (local: Network, remote: Network): readonly Step[] => {
  const pair = ["src", local.text, "dst", remote.text] as const;
  const why = `discard what would go from ${local.text} to ${remote.text} in clear`;
  const argv = (mark: string): Argv => [...update, ...pair, ...discard, "mark", mark, "mask", "1"];
  return [
    { why, argv: argv("0"), undo: [...deletion, ...pair, ...discard] },
    { why, argv: argv("1") },
  ];
};

/** Like `add`, but content with what is there already. */
const update = ["ip", "xfrm", "policy", "update"] as const;

/** Not `delete`, which cannot name a mark of 0 (iproute2 6.1, xfrm_policy.c); this takes both marks. */
const deletion = ["ip", "xfrm", "policy", "deleteall"] as const;

/** The lowest priority but one, which nobody would choose by hand: it tells ours from those of others. */
const discard = ["dir", "out", "action", "block", "priority", "4294967294"] as const;

/** More take longer than a stop should: each is a process that has the kernel list all of its policies. */
const deletedOneByOne = 8;

const isDiscardUndo = (argv: Argv): boolean => deletion.every((word, index) => argv[index] === word);
