import type { Effects } from "../host/apply.ts";
import { moveDiscardPolicies } from "../host/discard-policies.ts";
import type { FilesRead } from "../host/file-reader.ts";
import { planHostRouteMove } from "../host/host-routes.ts";
import { makeVirtualInterfaces } from "../host/keep-virtual-interfaces.ts";
import { movePacketRules } from "../host/packet-rules.ts";
import type { Secret } from "../secret.ts";
import type { SettingsMemory } from "../settings/settings-memory.ts";
import type { GatewayFiles } from "./gateway-files.ts";
import type { PlannedGateway } from "./planned-gateway.ts";
import { secretsOf } from "./secrets-of.ts";

/** What a reload replaces. */
export type Running = {
  plan: PlannedGateway;
  /** What no output may show; while a reload is under way, the old ones and the new. */
  secrets: readonly Secret[];
  /** What the last one who read the variables has read, right or wrong. */
  files: FilesRead;
  /** What it came to, so that the next reads less. */
  readonly memory: SettingsMemory;
};

export type InstallParts = {
  readonly running: Running;
  readonly files: GatewayFiles;
  readonly effects: Effects;
  /** Whether virtual interfaces are made here. */
  readonly withInit: boolean;
};

/** Looks at the host, and fails then if at all for what it lacks; what it returns puts another plan in place of the running one. */
export const prepareInstall = async (
  plan: PlannedGateway,
  { running, files, effects, withInit }: InstallParts,
): Promise<() => Promise<void>> => {
  const previous = running.plan;
  const { dataplane } = previous;
  const moveRoutes = await planHostRouteMove(previous.gateway, plan.gateway, effects);
  return async () => {
    const [former, wanted] = [secretsOf(previous.settings), secretsOf(plan.settings)];
    // What masks them is made anew for each list, which takes long for a thousand.
    const isSame = areSame(former, wanted);
    if (!isSame) running.secrets = [...former, ...wanted];
    const written = files.write(plan);
    try {
      if (withInit) await makeVirtualInterfaces(plan.gateway.virtualInterfaces, effects);
      await moveDiscardPolicies(dataplane, plan.gateway, effects, previous.gateway);
      await movePacketRules(dataplane, plan.gateway, effects, previous.gateway);
      await moveRoutes();
    } catch (error) {
      written.rollBack();
      await moveDiscardPolicies(dataplane, previous.gateway, effects);
      await movePacketRules(dataplane, previous.gateway, effects, plan.gateway);
      throw error;
    }
    written.commit();
    running.plan = plan;
    if (!isSame) running.secrets = wanted;
  };
};

const areSame = (some: readonly Secret[], others: readonly Secret[]): boolean =>
  some.length === others.length &&
  some.every((one, index) => Buffer.compare(one.reveal(), (others[index] as Secret).reveal()) === 0);
