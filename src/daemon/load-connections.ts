import { setTimeout as sleep } from "node:timers/promises";
import type { Backend } from "../backend/backend.ts";
import { exitCodes, Failure } from "../failure.ts";
import type { Connection } from "../gateway/gateway.ts";
import type { RunProgram } from "../host/run-program.ts";
import type { Log } from "../observe/log.ts";
import { listLoadedConnections, listTrappedChildren } from "../vici/listings.ts";
import { ViciError } from "../vici/vici-error.ts";
import { askDaemon } from "./ask-daemon.ts";
import type { Charon } from "./charon.ts";

export type LoadEffects = {
  readonly backend: Backend;
  readonly runProgram: RunProgram;
  readonly log: Log;
};

/** Has a charon that has just started know everything, and logs what it does not take. */
export const loadEverything = async (
  charon: Charon,
  { connections, isMounted }: { readonly connections: readonly Connection[]; readonly isMounted: boolean },
  effects: LoadEffects,
): Promise<void> => {
  const { backend, runProgram, log } = effects;
  try {
    if (isMounted) await askDaemon(charon, backend.loadMounted, runProgram);
    else if (backend.daemon.loadsFiles) requireLoaded(await untilLoaded(charon, connections));
    else await loadConnections(charon, connections, effects);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    log.error({ event: "not-loaded", reason: error.message }, "charon has not loaded everything");
  }
};

/** A connection that charon does not take, and its words. */
export type Refusal = { readonly connection: Connection; readonly reason: string };

/** Has charon know these connections; returns those that it refused. None keeps the others from being loaded. */
export const loadConnections = (
  charon: Charon,
  connections: readonly Connection[],
  effects: LoadEffects,
): Promise<readonly Refusal[]> => askForEach(charon, connections, effects.backend.load, effects);

/** Asks charon for all connections; returns those that it refused. */
export const askForEach = async (
  charon: Charon,
  connections: readonly Connection[],
  requests: Backend["load"],
  effects: LoadEffects,
): Promise<readonly Refusal[]> => {
  const refused: Refusal[] = [];
  for (let asked = 0; asked < connections.length; asked += askedTogether)
    refused.push(
      ...(await askTogether(charon, connections.slice(asked, asked + askedTogether), requests, effects)),
    );
  return refused;
};

/** Most of the time goes by on the way to charon and back. */
const askedTogether = 20;

const askTogether = async (
  charon: Charon,
  connections: readonly Connection[],
  requests: Backend["load"],
  effects: LoadEffects,
): Promise<readonly Refusal[]> => {
  try {
    await askDaemon(charon, requests(connections), effects.runProgram);
    return [];
  } catch (error) {
    if (!(error instanceof ViciError) || (error.kind !== "refused" && error.kind !== "unencodable"))
      throw error;
    const [connection, ...others] = connections;
    // One of them is wrong, or all are too much for a message. Those that charon has taken already stay as they are.
    if (others.length > 0)
      return (
        await Array.fromAsync(connections, (one) => askTogether(charon, [one], requests, effects))
      ).flat();
    if (connection === undefined) throw error;
    const reason = error.message;
    effects.log.error(
      { event: "not-loaded", connection: connection.name, reason },
      "charon has not loaded a connection",
    );
    return [{ connection, reason }];
  }
};

/**
 * Waits until charon has loaded them all, with their traps, and returns the names of the CHILD SAs that are missing, once
 * 10 s have brought no other. starter loads by itself, and tells nobody when it is through.
 */
export const untilLoaded = async (
  charon: Charon,
  connections: readonly Connection[],
): Promise<readonly string[]> => {
  let missing = connections.flatMap(({ children }) => children);
  let progressAt = performance.now();
  for (;;) {
    const begin = performance.now();
    const loaded = new Set(
      (await listLoadedConnections(charon.vici)).flatMap(({ children }) => children.map(({ name }) => name)),
    );
    const trapped = await listTrappedChildren(charon.vici);
    const now = performance.now();
    const stillMissing = missing.filter(
      ({ name, onTraffic }) => !loaded.has(name) || (onTraffic && !trapped.has(name)),
    );
    if (stillMissing.length < missing.length) progressAt = now;
    missing = stillMissing;
    if (missing.length === 0 || now - progressAt > loadLimitMilliseconds)
      return missing.map(({ name }) => name);
    // A listing of many keeps charon from loading them.
    await sleep(Math.max(5, now - begin));
  }
};

const loadLimitMilliseconds = 10_000;

/** Throws for names that are missing. */
export const requireLoaded = (missing: readonly string[]): void => {
  if (missing.length === 0) return;
  throw new Failure(
    [{ message: `charon has not loaded ${missing.join(", ")}`, hint: "its messages above tell why" }],
    exitCodes.unavailable,
  );
};
