import type { Lab } from "./lab.ts";
import { tunnelPsk } from "./our-gateway.ts";
import type { SitePeerRequest } from "./site.ts";

/** One host each: the protected networks of sun for so many connections. */
export const manyNetworks = (count: number): readonly string[] =>
  indices(count).map((index) => `10.2.${Math.floor((index + 1) / 256)}.${(index + 1) % 256}/32`);

/** An IPSEC_CONFIG_FILE of moon with a connection `site-0`, `site-1`, … to each network of sun, with what differs. */
export const connectionsFile = (
  { moon, sun }: Lab,
  changes: Readonly<Record<string, object>> = {},
  start = "start",
): string =>
  JSON.stringify({
    defaults: {
      localip: moon.address,
      localnet: moon.networks,
      remoteip: sun.address,
      psk: tunnelPsk,
      ikecipher: ike,
      espcipher: esp,
      start,
    },
    connections: Object.fromEntries(
      sun.networks.map((network, index) => [
        `site-${index}`,
        {
          localid: identity("moon", index),
          remoteid: identity("sun", index),
          remotenet: network,
          ...changes[`site-${index}`],
        },
      ]),
    ),
  });

/** The peer for them at sun. All connections come from one address, which charon would take for an attack. */
export const peerOfMany = ({ sun }: Lab): SitePeerRequest => ({
  connections: sun.networks.map((network, index) => ({
    name: `site-${index}`,
    version: 2,
    psk: Buffer.from(tunnelPsk),
    localId: identity("sun", index),
    remoteId: identity("moon", index),
    localNetworks: [network],
    proposals: ike,
    espProposals: esp,
  })),
  charonLines: [
    // All call from one address. A limit of 0 would be raised to 1 (strongSwan src/libcharon/network/receiver.c).
    ...["cookie_threshold = 0", "cookie_threshold_ip = 0", "block_threshold = 100000"],
    ...["ikesa_table_size = 1024", "ikesa_table_segments = 16"],
  ],
});

// As cheap as they come: what many cost beside their keys is of interest.
const ike = "aes128gcm16-prfsha256-ecp256";
const esp = "aes128gcm16";

const identity = (site: "moon" | "sun", index: number): string => `${site}-${index}.example.com`;

const indices = (count: number): readonly number[] => Array.from({ length: count }, (_, index) => index);
