import { setTimeout as sleep } from "node:timers/promises";
import type { Log } from "../observe/log.ts";
import type { Charon } from "./charon.ts";
import { listIkeSas } from "./security-associations.ts";
import { removeStaleFiles } from "./stale.ts";

/**
 * Ends charon so that the peers hear of it: deletes every IKE SA and waits for the answers (RFC 7296 §1.4.1), then
 * asks charon to end, then kills it. Returns whether it had to be killed. Never takes longer than the limit.
 */
export const stopCharon = async (
  charon: Charon,
  log: Log,
  force: Promise<void>,
): Promise<{ readonly killed: boolean }> => {
  const begin = Date.now();
  const left = (limit: number): number => Math.max(0, limit - (Date.now() - begin));
  const forced = force.then(() => "forced" as const);
  // A stopped charon answers nothing; deleting is given up when its time is over.
  await Promise.race([
    deleteIkeSas(charon, log, () => left(deleteLimitMilliseconds)),
    sleep(deleteLimitMilliseconds),
    forced,
  ]);
  charon.terminate();
  // Its control socket closes before charon takes its routes and policies out of the kernel, so only its end counts.
  const ended = charon
    .gone(left(totalLimitMilliseconds))
    .then((gone) => (gone ? ("ended" as const) : ("late" as const)));
  const outcome = await Promise.race([ended, forced]);
  charon.vici.close();
  await charon.kill();
  removeStaleFiles();
  if (outcome === "ended") return { killed: false };
  log.warn({ event: "charon-killed", pid: charon.pid }, "charon did not end and was killed");
  return { killed: true };
};

/** With the retransmissions of our charon.conf six copies of a DELETE are on their way within this time. */
const deleteLimitMilliseconds = 3_800;
const totalLimitMilliseconds = 4_300;

/** In rounds, since a peer may come back at once, and an SA whose peer may hold it established cannot be deleted before we do. */
const deleteIkeSas = async ({ vici }: Charon, log: Log, left: () => number): Promise<void> => {
  const asked = new Set<string>();
  try {
    for (let pause = 5; left() > 0; pause = Math.min(100, pause * 2)) {
      const known = (await listIkeSas(vici)).filter((sa) => sa.state !== "CONNECTING" || sa.peerAnswered);
      if (known.length === 0) return;
      for (const { uniqueId, state } of known) {
        if (state === "CONNECTING" || asked.has(uniqueId)) continue;
        asked.add(uniqueId);
        // -1: charon goes on by itself, so that all are deleted side by side.
        await vici.request("terminate", { "ike-id": uniqueId, timeout: "-1" });
      }
      await sleep(pause);
    }
    log.warn({ event: "delete-unanswered" }, "a peer has not answered the goodbye");
  } catch (error) {
    log.debug({ reason: String(error) }, "charon could not be asked to delete its SAs");
  }
};
