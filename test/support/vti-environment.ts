import { backendUnderTest } from "./backend-under-test.ts";
import type { Site } from "./site.ts";

/** A tunnel for everything, over a VTI on each side with key 42 and a route to the other's networks. */
export const vtiEnvironment = (site: Site, peer: Site): Record<string, string> => {
  const [own, other] =
    site.address < peer.address ? ["169.254.10.1", "169.254.10.2"] : ["169.254.10.2", "169.254.10.1"];
  return {
    IPSEC_LOCALIP: site.address,
    IPSEC_REMOTEIP: peer.address,
    IPSEC_LOCALNET: "0.0.0.0/0",
    IPSEC_REMOTENET: "0.0.0.0/0",
    IPSEC_PSK: "a-long-random-text-for-this-test",
    IPSEC_DATAPLANE: "kernel",
    IPSEC_VTI_KEY: "42",
    IPSEC_VTI_STATICROUTES: peer.networks.join(","),
    IPSEC_VTI_IPADDR_LOCAL: own as string,
    IPSEC_VTI_IPADDR_PEER: other as string,
    ...backendUnderTest,
  };
};
