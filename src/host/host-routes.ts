import type { Gateway } from "../gateway/gateway.ts";
import { applySteps, type Effects, undo } from "./apply.ts";
import { inspectHost } from "./inspect.ts";
import { hostRouteUndo, planHostRoutes } from "./plan.ts";

/** Adds the routes to the remote networks, where they are asked for. */
export const addHostRoutes = async ({ hostRoutes }: Gateway, effects: Effects): Promise<void> => {
  if (hostRoutes.length === 0) return;
  await applySteps(planHostRoutes(hostRoutes, await inspectHost(effects.runProgram)), effects);
};

/** Looks first, and fails then if at all; what it returns changes the host. */
export const planHostRouteMove = async (
  previous: Gateway,
  next: Gateway,
  effects: Effects,
): Promise<() => Promise<void>> => {
  if (JSON.stringify(previous.hostRoutes) === JSON.stringify(next.hostRoutes)) return async () => {};
  const steps = planHostRoutes(next.hostRoutes, await inspectHost(effects.runProgram));
  return async () => {
    await applySteps(steps, effects);
    const kept = new Set(next.hostRoutes.map(({ network }) => network.text));
    const outdated = effects.journal.entries().filter((argv) => {
      const network = hostRouteUndo(argv);
      return network !== undefined && !kept.has(network);
    });
    await undo(outdated, effects);
  };
};
