import { setTimeout as sleep } from "node:timers/promises";
import type { Log } from "../observe/log.ts";
import type { Charon } from "./charon.ts";
import { listLoadedChildren } from "./security-associations.ts";

/** starter loads connections a moment after charon is up, and tells nobody when it is through. */
export const whenLoaded = async (
  charon: Charon,
  children: readonly string[] | undefined,
  log: Log,
): Promise<void> => {
  if (children === undefined) return;
  const deadline = performance.now() + loadLimitMilliseconds;
  for (;;) {
    const loaded = await listLoadedChildren(charon.vici);
    const missing = children.filter((name) => !loaded.has(name));
    if (missing.length === 0) return;
    if (performance.now() > deadline) {
      log.error(
        { event: "not-loaded", children: missing },
        "charon has not loaded every connection; its messages above tell why",
      );
      return;
    }
    await sleep(5);
  }
};

const loadLimitMilliseconds = 10_000;
