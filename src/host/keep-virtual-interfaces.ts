import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { exitCodes, Failure, type Problem } from "../failure.ts";
import type { VirtualInterface } from "../gateway/virtual-interface.ts";
import { applySteps, type Effects } from "./apply.ts";
import { inspectInterface } from "./inspect-interface.ts";
import { mismatch, planVirtualInterface } from "./plan-virtual-interface.ts";
import { pasteable, type Step } from "./step.ts";
import { variableOf } from "./virtual-link.ts";

/** Makes what is missing of the interfaces; returns how many changes that took. */
export const makeVirtualInterfaces = async (
  interfaces: readonly VirtualInterface[],
  effects: Effects,
): Promise<number> => {
  const steps = await planAll(interfaces, effects);
  await applySteps(steps, effects);
  return steps.length;
};

/** Throws unless the interfaces are there, as they are wanted: `init` has not run, or for another tunnel. */
export const requireVirtualInterfaces = async (
  interfaces: readonly VirtualInterface[],
  { runProgram }: Pick<Effects, "runProgram">,
): Promise<void> => {
  const problems: Problem[] = [];
  for (const wanted of interfaces) {
    const message = mismatch(wanted, await inspectInterface(wanted, runProgram));
    const hint =
      "run vnf-ipsec init with the same variables first (in Kubernetes as an initContainer), or run --with-init";
    const variable = variableOf(wanted);
    if (message !== undefined) problems.push({ variable, message: `${variable}: ${message}`, hint });
  }
  if (problems.length > 0) throw new Failure(problems, exitCodes.unavailable);
};

const planAll = async (
  interfaces: readonly VirtualInterface[],
  { runProgram }: Pick<Effects, "runProgram">,
): Promise<readonly Step[]> => {
  const steps = interfaces.map(async (wanted) =>
    planVirtualInterface(wanted, await inspectInterface(wanted, runProgram)),
  );
  // Two interfaces may need the same module, or the same way around them.
  return [...new Map((await Promise.all(steps)).flat().map((step) => [pasteable(step.argv), step])).values()];
};

/**
 * Puts back what somebody takes from the interfaces, as soon as `ip monitor` tells of a change, and whenever it is told to
 * look. What it puts back is taken back at the end, since it was made here.
 */
export const keepVirtualInterfaces = (
  interfaces: () => readonly VirtualInterface[],
  effects: Effects,
  environment: Record<string, string>,
): { readonly look: () => void; readonly stop: () => Promise<void> } => {
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  let looking: Promise<void> = Promise.resolve();
  const mend = async (): Promise<void> => {
    const steps = await planAll(interfaces(), effects);
    if (stopped || steps.length === 0) return;
    effects.log.warn(
      { event: "interface-mended", changes: steps.length },
      "a virtual interface is not as it should be, and is mended",
    );
    await applySteps(steps, effects);
  };
  const lookSoon = (): void => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      looking = looking.then(mend).catch((error: unknown) => {
        effects.log.error(
          { event: "interface-not-mended", reason: String(error) },
          "a virtual interface could not be put back",
        );
      });
    }, settleMilliseconds);
  };
  const watch = () => {
    const monitor = spawn("ip", ["monitor", "link", "address", "route"], {
      env: environment,
      stdio: ["ignore", "pipe", "ignore"],
    });
    createInterface({ input: monitor.stdout }).on("line", lookSoon);
    monitor.once("error", () => {});
    monitor.once("exit", () => {
      if (!stopped) setTimeout(restart, restartMilliseconds).unref();
    });
    return monitor;
  };
  let monitor = watch();
  const restart = (): void => {
    if (stopped) return;
    monitor = watch();
    // What happened while nobody watched.
    lookSoon();
  };
  // What happened since `init`.
  lookSoon();
  return {
    look: lookSoon,
    stop: async () => {
      stopped = true;
      clearTimeout(timer);
      monitor.kill();
      await looking;
    },
  };
};

/** One command of others causes several events, and a `del` is often half of a replacement. */
const settleMilliseconds = 200;
const restartMilliseconds = 1_000;
