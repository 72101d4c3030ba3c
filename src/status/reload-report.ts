import type { ExitCode, Problem } from "../failure.ts";

/** What came of a reload, or what would come of it; `reload --json` prints it. */
export type ReloadReport = {
  /**
   * - `planned`: nothing was done, that was only asked for
   * - `unchanged`: there was nothing to do
   * - `reloaded`: charon has what is wanted
   * - `restarted`: charon starts anew, with what is wanted
   * - `rolled-back`: charon refused some connections, which are as before; it has the others
   * - `refused`: the settings are wrong, or the host did not follow, and everything is as before
   * - `stopping`: the gateway ends
   */
  readonly outcome:
    | "planned"
    | "unchanged"
    | "reloaded"
    | "restarted"
    | "rolled-back"
    | "refused"
    | "stopping";
  /** Of the command that asked. */
  readonly exitCode: ExitCode;
  readonly errors: readonly Problem[];
  readonly warnings: readonly Problem[];
  /** Absent where it did not come to a plan. */
  readonly plan?: ReloadPlan;
};

/** How what is wanted differs from what was there. Connections by name, routes by their network. */
export type ReloadPlan = {
  readonly added: readonly string[];
  readonly changed: readonly string[];
  readonly withOtherKey: readonly string[];
  readonly removed: readonly string[];
  /** How many stay as they are. */
  readonly unchanged: number;
  /** Why charon must start anew, which interrupts every tunnel; absent when it need not. */
  readonly restart?: string;
  /** The operator's own configuration is read again, whatever is in it. */
  readonly mounted: boolean;
  readonly routes: { readonly added: readonly string[]; readonly removed: readonly string[] };
  /** `removed` are no longer used; the gateway leaves them until it ends. */
  readonly virtualInterfaces: {
    readonly added: readonly string[];
    readonly changed: readonly string[];
    readonly removed: readonly string[];
  };
  /** Those whose packets are treated otherwise (`IPSEC_MSS`, `IPSEC_NAT_EXEMPT`); no tunnel is touched for that. */
  readonly packetRules: readonly string[];
  /** Variables of the whole gateway with another value. */
  readonly variables: readonly string[];
  /** Those of them that the gateway reads only when it starts. */
  readonly atNextStart: readonly string[];
};

/** Whether there is anything to do. */
export const isEmpty = (plan: ReloadPlan): boolean =>
  plan.restart === undefined &&
  !plan.mounted &&
  [
    plan.added,
    plan.changed,
    plan.withOtherKey,
    plan.removed,
    plan.routes.added,
    plan.routes.removed,
    plan.virtualInterfaces.added,
    plan.virtualInterfaces.changed,
    plan.virtualInterfaces.removed,
    plan.packetRules,
    plan.variables,
  ].every((list) => list.length === 0);
