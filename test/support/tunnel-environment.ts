import type { Site } from "./site.ts";
import type { Environment } from "./site-process.ts";

/** Long enough that no warning of its own goes with it. */
export const tunnelPsk = "a pre-shared key of more than twenty bytes";

/** What an operator sets at `own` for a tunnel of all networks to `opposite`; `changes` replaces or, when empty, unsets. */
export const tunnelEnvironment = (own: Site, opposite: Site, changes: Environment = {}): Environment => ({
  IPSEC_LOCALIP: own.address,
  IPSEC_REMOTEIP: opposite.address,
  IPSEC_LOCALNET: own.networks.join(","),
  IPSEC_REMOTENET: opposite.networks.join(","),
  IPSEC_PSK: tunnelPsk,
  ...changes,
});
