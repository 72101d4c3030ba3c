import { setTimeout as sleep } from "node:timers/promises";
import { type ExitCode, exitCodes } from "../failure.ts";
import { askGateway } from "../status/gateway-socket.ts";
import type { GatewayStatus } from "../status/status-schema.ts";
import { renderStatus } from "../status/status-table.ts";
import type { Context } from "./context.ts";

/** Prints what the gateway that runs here knows of itself. */
export const status = async (
  context: Context,
  options: { readonly json?: boolean; readonly watch?: boolean },
): Promise<ExitCode> => {
  const { stdout, control } = context;
  const show = async (): Promise<string> => {
    const { body } = await askGateway("/status");
    const known = JSON.parse(body) as GatewayStatus;
    return options.json
      ? `${JSON.stringify(known, null, options.watch ? undefined : 2)}\n`
      : renderStatus(known, { now: Date.now(), hasColors: stdout.hasColors });
  };
  if (!options.watch) {
    stdout.write(await show());
    return exitCodes.ok;
  }
  while (!control.isStopping()) {
    const shown = await show();
    stdout.write(stdout.isTerminal ? `${clearScreen}${shown}` : shown);
    await Promise.race([sleep(watchMilliseconds), control.stop]);
  }
  return exitCodes.ok;
};

const watchMilliseconds = 2_000;

/** Cursor to the corner, then everything below it (ECMA-48: CUP, ED); what scrolled away stays. */
const clearScreen = "\u001b[H\u001b[J";
