import type { Gateway } from "../gateway/gateway.ts";
import type { VirtualInterface } from "../gateway/virtual-interface.ts";
import { inspectHost } from "../host/inspect.ts";
import { inspectInterface } from "../host/inspect-interface.ts";
import { planHostRoutes } from "../host/plan.ts";
import { mismatch, planVirtualInterface } from "../host/plan-virtual-interface.ts";
import type { RunProgram } from "../host/run-program.ts";
import { pasteable, type Step } from "../host/step.ts";
import { variableOf } from "../host/virtual-link.ts";
import { attempted, type CheckResult, result } from "./check-result.ts";

/** Whether each virtual interface is as `init` would make it and `run` would keep it. */
export const checkVirtualInterfaces = async (
  interfaces: readonly VirtualInterface[],
  runProgram: RunProgram,
): Promise<readonly CheckResult[]> =>
  await Promise.all(interfaces.map((wanted) => checkVirtualInterface(wanted, runProgram)));

const checkVirtualInterface = async (
  wanted: VirtualInterface,
  runProgram: RunProgram,
): Promise<CheckResult> => {
  const state = await inspectInterface(wanted, runProgram);
  const wrong = mismatch(wanted, state);
  if (wrong !== undefined) {
    return result("virtual-interface", "failure", `${variableOf(wanted)}: ${wrong}`, {
      hint: "run vnf-ipsec init with the same variables (in Kubernetes as an initContainer), or run --with-init",
      details: { variable: variableOf(wanted) },
    });
  }
  const steps = planVirtualInterface(wanted, state).filter(({ optional }) => optional !== true);
  if (steps.length === 0)
    return result("virtual-interface", "ok", `${wanted.name} is as it should be`, {
      details: { mtu: state.link?.mtu },
    });
  return result("virtual-interface", "warning", `${wanted.name} is not as it should be: ${reasons(steps)}`, {
    hint: commands(steps),
  });
};

/** Whether the routes of SET_ROUTE_DEFAULT_TABLE are there, or can be once a gateway runs. */
export const checkHostRoutes = async (
  { hostRoutes }: Gateway,
  runs: boolean,
  runProgram: RunProgram,
): Promise<readonly CheckResult[]> => {
  if (hostRoutes.length === 0) return [];
  return await attempted("host-routes", async () => {
    const steps = planHostRoutes(hostRoutes, await inspectHost(runProgram));
    if (steps.length === 0)
      return [result("host-routes", "ok", "the routes to the remote networks are there")];
    if (!runs) return [result("host-routes", "ok", "run will add the routes to the remote networks")];
    return [
      result(
        "host-routes",
        "warning",
        `SET_ROUTE_DEFAULT_TABLE: somebody removed routes: ${reasons(steps)}`,
        {
          hint: commands(steps),
        },
      ),
    ];
  });
};

const reasons = (steps: readonly Step[]): string => steps.map(({ why }) => why).join(", ");

const commands = (steps: readonly Step[]): string => steps.map(({ argv }) => pasteable(argv)).join("; ");
