import { Failure, type Problem } from "../failure.ts";
import { askGateway } from "../status/gateway-socket.ts";
import type { GatewayStatus } from "../status/status-schema.ts";
import { type CheckResult, result } from "./check-result.ts";

export type GatewayLook =
  | { readonly runs: true; readonly status: GatewayStatus }
  /** `runs` where there is one that does not tell. */
  | { readonly runs: boolean; readonly status?: never; readonly trouble: CheckResult };

/** What the gateway that runs here tells of itself, or why none does. */
export const lookAtGateway = async (): Promise<GatewayLook> => {
  try {
    const { body } = await askGateway("/status");
    return { runs: true, status: JSON.parse(body) as GatewayStatus };
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    const { message, hint } = error.problems[0] as Problem;
    const code = (error.cause as NodeJS.ErrnoException | undefined)?.code;
    if (code !== "ENOENT" && code !== "ECONNREFUSED")
      return { runs: true, trouble: result("gateway", "failure", message, { hint }) };
    const left = `${message}, so what only a running one can tell is left out`;
    return { runs: false, trouble: result("gateway", "skipped", left, { hint }) };
  }
};
