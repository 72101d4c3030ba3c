import type { Charon } from "../daemon/charon.ts";
import type { Refusal } from "../daemon/load-connections.ts";
import { followConnections, followMounted } from "../daemon/reload.ts";
import type { RunProgram } from "../host/run-program.ts";
import type { Log } from "../observe/log.ts";
import type { PlannedGateway } from "./planned-gateway.ts";
import type { ReloadDifference } from "./reload-difference.ts";

/** How charon has followed: with `restart` it has not yet, and must start anew. */
export type Followed = {
  readonly effect: "changed" | "restart" | "unchanged";
  readonly refused: readonly Refusal[];
};

/** Has charon follow files that have been written: only the connections that differ are touched. */
export const followReload = async (
  charon: Charon,
  next: PlannedGateway,
  difference: ReloadDifference,
  effects: { readonly runProgram: RunProgram; readonly log: Log },
): Promise<Followed> => {
  const { backend } = next;
  const { added, changed, removed, withOtherKey, restart } = difference;
  if (restart !== undefined) return { effect: "restart", refused: [] };
  if (difference.rereadsSettings) await charon.vici.request("reload-settings");
  // What it has fetched of revocations it would believe until that expires (strongSwan cert_cache.c).
  await charon.vici.request("flush-certs");
  if (next.manual) {
    await followMounted(charon, { ...effects, backend });
    return { effect: "changed", refused: [] };
  }
  if ([added, changed, removed, withOtherKey].every((list) => list.length === 0))
    return { effect: "unchanged", refused: [] };
  const refused = await followConnections(charon, difference, next.gateway.connections, {
    ...effects,
    backend,
  });
  return { effect: "changed", refused };
};
