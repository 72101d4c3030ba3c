import type { Lab } from "./lab.ts";
import { tunnelPsk } from "./our-gateway.ts";
import { type PeerConnection, swanctlConf } from "./swanctl-conf.ts";

/** swanctl.conf(5) of a peer at sun with a tunnel of all networks to moon, for when it is to be loaded anew. */
export const peerConf = (lab: Lab, changes: Partial<PeerConnection> = {}): string =>
  swanctlConf([
    {
      psk: Buffer.from(tunnelPsk),
      localAddress: lab.sun.address,
      remoteAddress: lab.moon.address,
      localNetworks: lab.sun.networks,
      remoteNetworks: lab.moon.networks,
      ...changes,
    },
  ]);
