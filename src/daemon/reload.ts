import { setTimeout as sleep } from "node:timers/promises";
import { exitCodes, Failure } from "../failure.ts";
import type { Connection } from "../gateway/gateway.ts";
import type { RunProgram } from "../host/run-program.ts";
import type { Log } from "../observe/log.ts";
import type { Charon } from "./charon.ts";
import { listIkeSas, listLoadedChildren } from "./security-associations.ts";

/** What charon holds and the files no longer say. */
export type Outdated = {
  /** Changed or gone. */
  readonly connections: readonly Connection[];
  /** Those with another key and nothing else: starter, which sees no keys, would not load them again. */
  readonly keys: readonly Connection[];
};

/**
 * Has charon follow files that have been written already. Only what is outdated loses its SAs, and leaves charon
 * where starter then loads it anew. The others keep their tunnels.
 */
export const followFiles = async (
  charon: Charon,
  outdated: Outdated,
  wanted: readonly Connection[],
  effects: { readonly runProgram: RunProgram; readonly log: Log },
): Promise<void> => {
  const { runProgram, log } = effects;
  // Before the connections, since starter may initiate what it loads.
  await runOrFail(runProgram, ["ipsec", "rereadsecrets"]);
  const names = new Set(
    [...outdated.connections, ...outdated.keys].flatMap(({ children }) =>
      children.map((child) => child.name),
    ),
  );
  for (const connection of outdated.connections) {
    for (const child of connection.children) {
      log.info(
        { event: "connection-unloaded", connection: connection.name, child: child.name },
        "unload what has changed",
      );
      if (child.onTraffic) await runProgram(["ipsec", "unroute", child.name]);
      await runProgram(["ipsec", "stroke", "delete", child.name]);
    }
  }
  for (const sa of await listIkeSas(charon.vici)) {
    if (names.has(sa.connection))
      await charon.vici.request("terminate", { "ike-id": sa.uniqueId, timeout: "-1" });
  }
  charon.update();
  const expected = wanted.flatMap((connection) => connection.children.map((child) => child.name));
  await untilLoaded(charon, expected);
};

/** In manual configuration nobody but starter knows what has changed. */
export const followManualFiles = async (charon: Charon, runProgram: RunProgram): Promise<void> => {
  await runOrFail(runProgram, ["ipsec", "rereadsecrets"]);
  charon.update();
};

const runOrFail = async (runProgram: RunProgram, argv: readonly [string, ...string[]]): Promise<void> => {
  const { exitCode, stderr } = await runProgram(argv);
  if (exitCode === 0) return;
  throw new Failure(
    [{ message: `${argv.join(" ")} failed: ${stderr || `exit code ${exitCode}`}` }],
    exitCodes.unavailable,
  );
};

/** starter answers no question; what charon lists tells when it is through. */
const untilLoaded = async (charon: Charon, children: readonly string[]): Promise<void> => {
  const deadline = performance.now() + 10_000;
  while (performance.now() < deadline) {
    const loaded = await listLoadedChildren(charon.vici);
    if (children.every((name) => loaded.has(name))) return;
    await sleep(5);
  }
  throw new Failure(
    [{ message: `charon has not loaded ${children.join(", ")}`, hint: "its messages above tell why" }],
    exitCodes.unavailable,
  );
};
