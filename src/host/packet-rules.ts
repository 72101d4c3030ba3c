import { Failure } from "../failure.ts";
import type { Dataplane } from "../gateway/dataplane.ts";
import type { Gateway } from "../gateway/gateway.ts";
import { applySteps, type Effects, undo } from "./apply.ts";
import { packetTable, renderPacketTable } from "./packet-table.ts";
import type { Argv, Step } from "./step.ts";

/** The one command that makes the rules for packets, or replaces them; none where no packet needs any. */
export const planPacketRules = (dataplane: Dataplane, { packetRules }: Gateway): readonly Step[] => {
  const input = renderPacketTable(dataplane, packetRules);
  if (input === undefined) return [];
  return [{ why: "make the rules for the tunnels' packets", argv: ["nft", "-f", "-"], input, undo: removal }];
};

/**
 * Has the kernel treat packets as the gateway says, and no longer as a former one did; `present` is the one whose rules
 * were made, which are made again if somebody has flushed them. Where the kernel cannot, or nft is missing, that is a
 * warning, unless somebody counts on it.
 */
export const movePacketRules = async (
  dataplane: Dataplane,
  gateway: Gateway,
  effects: Effects,
  present?: Gateway,
): Promise<void> => {
  const steps = planPacketRules(dataplane, gateway);
  const isSame = present !== undefined && steps[0]?.input === planPacketRules(dataplane, present)[0]?.input;
  if (isSame && (steps.length === 0 || (await isThere(effects)))) return;
  const areThere = effects.journal.entries().some(isRemoval);
  if (steps.length === 0) {
    if (areThere) await undo([removal], effects);
    return;
  }
  try {
    await applySteps(steps, effects);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    // A transaction that fails leaves the former rules, which are still to be taken back.
    if (areThere) effects.journal.add([removal]);
    complain(error, gateway, effects);
  }
};

/** Whether it is a failure when there can be none. */
export const areDemanded = (gateway: Gateway): boolean => demandsOf(gateway).length > 0;

/** Terse, without the networks of a thousand connections. */
const isThere = async ({ runProgram }: Effects): Promise<boolean> =>
  (await runProgram(["nft", "--terse", "list", "table", "inet", packetTable])).exitCode === 0;

const removal: Argv = ["nft", "delete", "table", "inet", packetTable];

const isRemoval = (argv: Argv): boolean => JSON.stringify(argv) === JSON.stringify(removal);

/** The variables by which somebody asked for rules. */
const demandsOf = ({ packetRules }: Gateway): readonly string[] => [
  ...(packetRules.some(({ segments }) => segments?.isDemanded) ? ["IPSEC_MSS"] : []),
  ...(packetRules.some(({ keepsSource }) => keepsSource) ? ["IPSEC_NAT_EXEMPT"] : []),
];

const complain = ({ message, exitCode }: Failure, gateway: Gateway, { log }: Effects): void => {
  const demanded = demandsOf(gateway);
  const remedy = remedyFor(message);
  if (demanded.length === 0) {
    log.warn(
      {
        event: "packet-rules",
        variable: "IPSEC_MSS",
        reason: message,
        hint: `${remedy}, or set IPSEC_MSS=off`,
      },
      "TCP is not told how little fits into the tunnel, so big transfers may hang",
    );
    return;
  }
  const variable = demanded.join(", ");
  const hint = `${remedy}, or do without: ${demanded.map((name) => without[name]).join(", ")}`;
  throw new Failure([{ variable, message: `${variable}: ${message}`, hint }], exitCode);
};

const remedyFor = (reason: string): string => {
  if (/ENOENT|command not found/i.test(reason)) return "install nftables";
  if (/not permitted|permission/i.test(reason)) return "run with the capability NET_ADMIN, or --privileged";
  return "load the kernel's modules nf_tables and nft_chain_nat on the host";
};

const without: Readonly<Record<string, string>> = {
  IPSEC_MSS: "IPSEC_MSS=off",
  IPSEC_NAT_EXEMPT: "IPSEC_NAT_EXEMPT=no",
};
