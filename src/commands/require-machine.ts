import { backends } from "../backend/backends.ts";
import { requireCapabilities } from "../host/capabilities.ts";
import { requireIncludes } from "../host/require-includes.ts";
import { requirePrograms } from "../host/require-programs.ts";
import type { Settings } from "../settings/settings.ts";
import type { Context } from "./context.ts";

/** Throws a Failure where a gateway with these settings could not work, before anything is touched. */
export const requireMachine = (
  { environment }: Pick<Context, "environment">,
  { gateway }: Settings,
): void => {
  const backend = backends[gateway.IPSEC_BACKEND];
  requireCapabilities(["NET_ADMIN", "NET_BIND_SERVICE"]);
  requirePrograms(environment["PATH"], backend.daemon);
  if (backend === backends.stroke && !gateway.IPSEC_USE_MANUAL_CONFIG) requireIncludes();
};
