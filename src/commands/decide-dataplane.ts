import type { Dataplane } from "../gateway/dataplane.ts";
import { chooseDataplane } from "../host/choose-dataplane.ts";
import type { RunProgram } from "../host/run-program.ts";
import type { Log } from "../observe/log.ts";
import type { Settings } from "../settings/settings.ts";
import { virtualInterfaceVariable } from "../settings/virtual-interface-variable.ts";

/** Chooses where ESP runs and says so. */
export const decideDataplane = async (
  settings: Settings,
  runProgram: RunProgram,
  log: Log,
): Promise<Dataplane> => {
  const [needsKernel] = settings.tunnels.flatMap((tunnel) => virtualInterfaceVariable(tunnel) ?? []);
  const { dataplane, reason } = await chooseDataplane(
    settings.gateway.IPSEC_DATAPLANE,
    needsKernel,
    runProgram,
  );
  if (reason === undefined) log.info({ event: "dataplane", dataplane }, `ESP runs in ${places[dataplane]}`);
  else {
    const hint = "slower, but it needs no kernel support; load the module esp4 for ESP in the kernel";
    log.warn(
      { event: "dataplane", dataplane, reason, hint },
      "the kernel has no ESP, so it runs in user space",
    );
  }
  if (dataplane === "userspace" && settings.gateway.IPSEC_MANUAL_CHARON) {
    log.warn(
      { event: "dataplane", variables: ["IPSEC_MANUAL_CHARON", "IPSEC_DATAPLANE"] },
      "with IPSEC_MANUAL_CHARON your own files must load kernel-libipsec before kernel-netlink",
    );
  }
  return dataplane;
};

const places = { kernel: "the kernel", userspace: "user space" } as const;
