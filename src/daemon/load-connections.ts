import { setTimeout as sleep } from "node:timers/promises";
import type { Backend } from "../backend/backend.ts";
import { exitCodes, Failure } from "../failure.ts";
import type { Connection } from "../gateway/gateway.ts";
import type { RunProgram } from "../host/run-program.ts";
import type { Log } from "../observe/log.ts";
import { ViciError } from "../vici/vici-error.ts";
import { askDaemon } from "./ask-daemon.ts";
import type { Charon } from "./charon.ts";
import { listLoadedChildren } from "./security-associations.ts";

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

/** Has charon know these connections; returns those that it refused. None keeps the others from being loaded. */
export const loadConnections = async (
  charon: Charon,
  connections: readonly Connection[],
  { backend, runProgram, log }: LoadEffects,
): Promise<readonly Connection[]> => {
  const refused: Connection[] = [];
  for (const connection of connections) {
    try {
      await askDaemon(charon, backend.load(connection), runProgram);
    } catch (error) {
      if (!(error instanceof ViciError) || error.kind !== "refused") throw error;
      refused.push(connection);
      log.error(
        { event: "not-loaded", connection: connection.name, reason: error.message },
        "charon has not loaded a connection",
      );
    }
  }
  return refused;
};

/**
 * Waits until charon has loaded them all, for 10 s at most, and returns the names of the CHILD SAs that are missing.
 * starter loads by itself, and tells nobody when it is through.
 */
export const untilLoaded = async (
  charon: Charon,
  connections: readonly Connection[],
): Promise<readonly string[]> => {
  const children = connections.flatMap((connection) => connection.children.map((child) => child.name));
  const deadline = performance.now() + loadLimitMilliseconds;
  for (;;) {
    const loaded = await listLoadedChildren(charon.vici);
    const missing = children.filter((name) => !loaded.has(name));
    if (missing.length === 0 || performance.now() > deadline) return missing;
    await sleep(5);
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
