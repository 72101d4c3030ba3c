import type { Connection } from "../gateway/gateway.ts";
import { askDaemon } from "./ask-daemon.ts";
import type { Charon } from "./charon.ts";
import { type LoadEffects, loadConnections, requireLoaded, untilLoaded } from "./load-connections.ts";
import { listIkeSas } from "./security-associations.ts";

/** How charon's connections differ from those that are wanted. */
export type Difference = {
  /** What charon holds and is changed or gone. */
  readonly outdated: readonly Connection[];
  /** Those with another key and nothing else: what loads files sees no keys, and would not load them again. */
  readonly withOtherKey: readonly Connection[];
  /** What is changed or new. */
  readonly changed: readonly Connection[];
  readonly wanted: readonly Connection[];
};

/**
 * Has charon follow files that have been written already. Only what is outdated loses its SAs, and leaves charon
 * where it is then loaded anew. The others keep their tunnels.
 */
export const followConnections = async (
  charon: Charon,
  { outdated, withOtherKey, changed, wanted }: Difference,
  effects: LoadEffects,
): Promise<void> => {
  const { backend, runProgram, log } = effects;
  await askDaemon(charon, backend.beforeReload, runProgram);
  for (const connection of outdated) {
    log.info({ event: "connection-unloaded", connection: connection.name }, "unload what has changed");
    await askDaemon(charon, backend.unload(connection), runProgram);
  }
  // Their new keys must be there when the SAs are made anew.
  if (!backend.daemon.loadsFiles) await loadConnections(charon, withOtherKey, effects);
  const names = new Set(
    [...outdated, ...withOtherKey].flatMap(({ name, children }) => [
      name,
      ...children.map((child) => child.name),
    ]),
  );
  for (const sa of await listIkeSas(charon.vici)) {
    if (names.has(sa.connection))
      await charon.vici.request("terminate", { "ike-id": sa.uniqueId, timeout: "-1" });
  }
  if (backend.daemon.loadsFiles) {
    charon.update();
    requireLoaded(await untilLoaded(charon, wanted));
    return;
  }
  const refused = new Set((await loadConnections(charon, changed, effects)).map(({ name }) => name));
  const former = outdated.filter(({ name }) => refused.has(name));
  for (const { name } of former)
    log.error({ event: "reload-refused", connection: name }, "the connection stays as it was before");
  await loadConnections(charon, former, effects);
};

/** In manual configuration nobody but strongSwan's own programs knows what has changed. */
export const followMounted = async (
  charon: Charon,
  { backend, runProgram }: Omit<LoadEffects, "log">,
): Promise<void> => {
  await askDaemon(charon, [...backend.beforeReload, ...backend.loadMounted], runProgram);
  if (backend.daemon.loadsFiles) charon.update();
};
