import { setTimeout as sleep } from "node:timers/promises";
import type { Log } from "../observe/log.ts";
import { listIkeSas } from "../vici/listings.ts";
import type { Charon } from "./charon.ts";
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
  const begin = performance.now();
  const left = (limit: number): number => Math.max(0, limit - (performance.now() - begin));
  const forced = force.then(() => "forced" as const);
  charon.endStarter();
  const hangs = await Promise.race([isSilent(charon), forced]);
  if (hangs === false) {
    await Promise.race([
      deleteIkeSas(charon, log, () => left(deleteLimitMilliseconds)),
      sleep(deleteLimitMilliseconds),
      forced,
    ]);
  }
  charon.terminate();
  // Its control socket closes before charon takes its routes and policies out of the kernel, so only its end counts.
  const ended = charon
    .gone(left(hangs === false ? totalLimitMilliseconds : silentLimitMilliseconds))
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

/** A charon that hangs has no goodbye to say. Half of the time is for its answer, half for its end. */
const silentLimitMilliseconds = 1_600;

const isSilent = ({ vici }: Charon): Promise<boolean> => {
  const answered = vici.request("version").then(
    () => false,
    () => false,
  );
  return Promise.race([answered, sleep(silentLimitMilliseconds / 2, true)]);
};

/**
 * In rounds, since a peer may come back at once. An SA that is still being negotiated vanishes without a word; where
 * the peer may take it for established already, it is waited for.
 */
const deleteIkeSas = async ({ vici }: Charon, log: Log, left: () => number): Promise<void> => {
  const asked = new Set<string>();
  const begin = performance.now();
  let seenNone = false;
  try {
    for (let pause = 5; left() > 0; pause = Math.min(100, pause * 2)) {
      const sas = await listIkeSas(vici);
      const isNone = sas.length === 0;
      if (isNone && seenNone) return;
      seenNone = isNone;
      for (const { uniqueId, state, peerAnswered } of sas) {
        const isNegotiated = state === "CREATED" || state === "CONNECTING";
        const mayComeUp = peerAnswered || performance.now() - begin < firstAnswerMilliseconds;
        if ((isNegotiated && mayComeUp) || asked.has(uniqueId)) continue;
        asked.add(uniqueId);
        // -1: charon goes on by itself, so that all are deleted side by side.
        await vici.request("terminate", { "ike-id": uniqueId, timeout: "-1" });
      }
      await sleep(isNone ? belatedMilliseconds : pause);
    }
    log.warn({ event: "delete-unanswered" }, "a peer has not answered the goodbye");
  } catch (error) {
    log.debug({ reason: String(error) }, "charon could not be asked to delete its SAs");
  }
};

/** charon lists an SA that it was asked for, by us or by a packet, only once one of its threads has begun with it. */
const belatedMilliseconds = 20;

/** A peer that has not answered by then is not about to take the SA for established. */
const firstAnswerMilliseconds = 400;
