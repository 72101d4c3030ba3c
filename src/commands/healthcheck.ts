import { type ExitCode, exitCodes, Failure } from "../failure.ts";
import { askGateway } from "../status/gateway-socket.ts";
import type { Context } from "./context.ts";

/** Asks the gateway that runs here whether it lives, or whether its tunnels are as they should be, and tells why not. */
export const healthcheck = async (
  { stdout }: Context,
  { ready = false }: { readonly ready?: boolean },
): Promise<ExitCode> => {
  try {
    const { status, body } = await askGateway(ready ? "/readyz" : "/livez");
    if (status === 200) {
      stdout.write(`${ready ? "ready" : "live"}\n`);
      return exitCodes.ok;
    }
    const { reasons = [] } = JSON.parse(body) as { reasons?: readonly string[] };
    stdout.write(`${[`not ${ready ? "ready" : "live"}`, ...reasons].join("\n")}\n`);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    // Docker knows but 0 and 1 (https://docs.docker.com/reference/dockerfile/#healthcheck).
    stdout.write(`${error.message}\n`);
  }
  return exitCodes.unhealthy;
};
