import { type ExitCode, exitCodes, Failure } from "../failure.ts";
import { buildGateway } from "../gateway/from-settings.ts";
import { requireCapabilities } from "../host/capabilities.ts";
import { memoryJournal } from "../host/journal.ts";
import { makeVirtualInterfaces } from "../host/keep-virtual-interfaces.ts";
import { readPathMtu } from "../host/read-path-mtu.ts";
import { childEnvironment, createRunProgram } from "../host/run-program.ts";
import { virtualInterfaceVariable } from "../settings/virtual-interface-variable.ts";
import { createCommandLog, logProblems, logWarnings } from "./command-log.ts";
import type { Context } from "./context.ts";
import { loadSettings } from "./load-settings.ts";

/**
 * Prepares the host for the gateway: modules and virtual interfaces with their addresses and routes. Changes only
 * what differs, and takes back what it did when a step fails. What it makes stays.
 */
export const init = async (context: Context): Promise<ExitCode> => {
  const { settings, warnings } = await loadSettings(context.environment, "init");
  const log = await createCommandLog(settings, context, () => []);
  logWarnings(log, warnings);
  const runProgram = createRunProgram(childEnvironment(context.environment), log);
  try {
    const tunnels = settings.tunnels.filter((one) => virtualInterfaceVariable(one) !== undefined);
    if (tunnels.length > 0) requireCapabilities(["NET_ADMIN"]);
    const { virtualInterfaces } = buildGateway(settings, await readPathMtu(tunnels, runProgram));
    for (const wanted of virtualInterfaces) {
      const changes = await makeVirtualInterfaces([wanted], { runProgram, log, journal: memoryJournal() });
      log.info({ event: "initialised", interface: wanted.name, changes }, "the virtual interface is ready");
    }
    if (virtualInterfaces.length === 0) {
      log.warn(
        { event: "initialised", variables: ["IPSEC_VTI_KEY", "IPSEC_XFRM_IF_ID"] },
        "there is no virtual interface to make: neither IPSEC_VTI_KEY nor IPSEC_XFRM_IF_ID is set",
      );
    }
    return exitCodes.ok;
  } catch (error) {
    if (error instanceof Failure) logProblems(log, error);
    throw error;
  }
};
