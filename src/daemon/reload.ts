import { setTimeout as sleep } from "node:timers/promises";
import type { Connection } from "../gateway/gateway.ts";
import { exitCodes, Failure } from "../failure.ts";
import type { RunProgram } from "../host/run-program.ts";
import type { Log } from "../observe/log.ts";
import type { Charon } from "./charon.ts";
import { listIkeSas, listLoadedChildren } from "./security-associations.ts";

/**
 * Has charon follow files that have been written already. Only `outdated` connections (changed or gone) are taken
 * from it, with their SAs; starter then loads what it finds new. The others keep their tunnels.
 */
export const followFiles = async (
  charon: Charon,
  outdated: readonly Connection[],
  wanted: readonly Connection[],
  effects: { readonly runProgram: RunProgram; readonly log: Log },
): Promise<void> => {
  const { runProgram, log } = effects;
  // Before the connections, since starter may initiate what it loads.
  await runOrFail(runProgram, ["ipsec", "rereadsecrets"]);
  const names = new Set(outdated.flatMap((connection) => connection.children.map((child) => child.name)));
  for (const connection of outdated) {
    for (const child of connection.children) {
      log.info({ event: "connection-unloaded", connection: connection.name, child: child.name }, "unload what has changed");
      if (child.onTraffic) await runProgram(["ipsec", "unroute", child.name]);
      await runProgram(["ipsec", "stroke", "delete", child.name]);
    }
  }
  for (const sa of await listIkeSas(charon.vici)) {
    if (names.has(sa.connection)) await charon.vici.request("terminate", { "ike-id": sa.uniqueId, timeout: "-1" });
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
  throw new Failure([{ message: `${argv.join(" ")} failed: ${stderr || `exit code ${exitCode}`}` }], exitCodes.unavailable);
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
