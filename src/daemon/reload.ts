import type { Connection } from "../gateway/gateway.ts";
import { listIkeSas } from "../vici/listings.ts";
import { askDaemon } from "./ask-daemon.ts";
import type { Charon } from "./charon.ts";
import {
  askForEach,
  type LoadEffects,
  loadConnections,
  type Refusal,
  requireLoaded,
  untilLoaded,
} from "./load-connections.ts";

/** How the connections that are wanted differ from those that charon holds. */
export type Difference = {
  readonly added: readonly Connection[];
  readonly changed: readonly Change[];
  readonly removed: readonly Connection[];
  /** Those with another key and nothing else: what loads files sees no keys, and would not load them again. */
  readonly withOtherKey: readonly Connection[];
};

export type Change = { readonly from: Connection; readonly to: Connection };

/**
 * Has charon follow files that have been written already. Only what is changed or gone loses its SAs, and leaves charon
 * where it is then loaded anew. The others keep their tunnels. Returns what charon refuses: with a backend that can try
 * it beforehand the former connection then is as it was, with others it is gone; see `restoreFormer`.
 */
export const followConnections = async (
  charon: Charon,
  difference: Difference,
  wanted: readonly Connection[],
  effects: LoadEffects,
): Promise<readonly Refusal[]> => {
  const { backend, runProgram, log } = effects;
  const { removed, withOtherKey } = difference;
  await askDaemon(charon, backend.beforeReload, runProgram);
  const candidates = [...difference.changed.map(({ to }) => to), ...difference.added];
  const refused = await askForEach(charon, candidates, backend.probe, effects);
  const wrong = new Set(refused.map(({ connection }) => connection));
  const changed = difference.changed.filter(({ to }) => !wrong.has(to));
  const added = difference.added.filter((connection) => !wrong.has(connection));
  const outdated = [...changed.map(({ from }) => from), ...removed];
  for (const connection of outdated) {
    log.info({ event: "connection-unloaded", connection: connection.name }, "unload what has changed");
    await askDaemon(charon, backend.unload(connection), runProgram);
  }
  // Their new keys must be there when the SAs are made anew.
  const keys = backend.daemon.loadsFiles ? [] : await loadConnections(charon, withOtherKey, effects);
  await terminate(charon, [...outdated, ...withOtherKey]);
  if (backend.daemon.loadsFiles) {
    charon.update();
    return notLoaded(wanted, await untilLoaded(charon, wanted));
  }
  const loading = [...changed.map(({ to }) => to), ...added];
  return [...refused, ...keys, ...(await loadConnections(charon, loading, effects))];
};

/**
 * Has charon hold the former connections in place of those that it refused, once the files say so again. Throws a
 * Failure where it does not take them either.
 */
export const restoreFormer = async (
  charon: Charon,
  refused: readonly Refusal[],
  { former, wanted }: { readonly former: readonly Connection[]; readonly wanted: readonly Connection[] },
  effects: LoadEffects,
): Promise<void> => {
  const { backend, runProgram, log } = effects;
  for (const { connection, reason } of refused)
    log.error(
      { event: "reload-refused", connection: connection.name, reason },
      "charon refused a connection, which stays as it was before",
    );
  await askDaemon(charon, backend.beforeReload, runProgram);
  if (!backend.daemon.loadsFiles) {
    const lost = await loadConnections(charon, former, effects);
    requireLoaded(lost.map(({ connection }) => connection.name));
    return;
  }
  // Of several CHILD SAs charon may have taken some.
  for (const { connection } of refused) await askDaemon(charon, backend.unload(connection), runProgram);
  charon.update();
  requireLoaded(await untilLoaded(charon, wanted));
};

/** In manual configuration nobody but strongSwan's own programs knows what has changed. */
export const followMounted = async (
  charon: Charon,
  { backend, runProgram }: Omit<LoadEffects, "log">,
): Promise<void> => {
  await askDaemon(charon, [...backend.beforeReload, ...backend.loadMounted], runProgram);
  if (backend.daemon.loadsFiles) charon.update();
};

/** charon has an IKEv1 connection of ipsec.conf under the name of its first CHILD SA. */
const terminate = async (charon: Charon, connections: readonly Connection[]): Promise<void> => {
  const names = new Set(
    connections.flatMap(({ name, children }) => [name, ...children.map((child) => child.name)]),
  );
  for (const sa of await listIkeSas(charon.vici)) {
    if (names.has(sa.connection))
      await charon.vici.request("terminate", { "ike-id": sa.uniqueId, timeout: "-1" });
  }
};

const notLoaded = (wanted: readonly Connection[], missing: readonly string[]): readonly Refusal[] => {
  const names = new Set(missing);
  return wanted
    .filter(({ children }) => children.some(({ name }) => names.has(name)))
    .map((connection) => ({ connection, reason: "it was not loaded" }));
};
