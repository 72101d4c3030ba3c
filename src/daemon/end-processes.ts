import { setTimeout as sleep } from "node:timers/promises";
import { childrenOf, isAlive, type ProcessIdentity } from "./process-identity.ts";

/** Sends a signal; a process that is gone is no fault. */
export type KillProcess = (pid: number, signal: NodeJS.Signals) => void;

/**
 * Kills starter with all that it has started, and charon where starter is gone already. Settles when none is left.
 * starter is stopped before its children are looked up, so that it cannot start another charon meanwhile.
 */
export const killDaemon = async (
  processes: readonly ProcessIdentity[],
  killProcess: KillProcess,
): Promise<void> => {
  const doomed = processes.filter(isAlive);
  for (const { pid } of doomed) killProcess(pid, "SIGSTOP");
  const family = [...doomed, ...doomed.flatMap(({ pid }) => childrenOf(pid))];
  for (const { pid } of family) killProcess(pid, "SIGKILL");
  await untilGone(family, goneLimitMilliseconds);
};

/** Whether they were gone within the limit. */
export const untilGone = async (
  processes: readonly ProcessIdentity[],
  limitMilliseconds: number,
): Promise<boolean> => {
  const deadline = performance.now() + limitMilliseconds;
  while (processes.some(isAlive)) {
    if (performance.now() > deadline) return false;
    await sleep(5);
  }
  return true;
};

/** Only a process that waits in the kernel outlives SIGKILL for longer than a moment. */
const goneLimitMilliseconds = 1_000;
