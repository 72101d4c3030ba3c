import type { ChildSaReading, IkeSaReading } from "../../../src/vici/readings.ts";

/** An installed CHILD SA of `site` that has carried nothing, with what differs. */
export const sa = (differs: Partial<ChildSaReading>): ChildSaReading => ({
  name: "site",
  uniqueId: "1",
  state: "INSTALLED",
  spiIn: "c0000001",
  spiOut: "c0000002",
  inUdp: false,
  algorithms: { encryption: "AES_GCM_16", encryptionKeyLength: 256 },
  bytesIn: 0,
  bytesOut: 0,
  packetsIn: 0,
  packetsOut: 0,
  localNetworks: ["10.1.0.0/16"],
  remoteNetworks: ["10.2.0.0/16"],
  ...differs,
});

/** An established IKE SA of `site` with these CHILD SAs, with what differs. */
export const ikeSa = (
  children: readonly ChildSaReading[],
  differs: Partial<IkeSaReading> = {},
): IkeSaReading => ({
  connection: "site",
  uniqueId: "1",
  version: "2",
  state: "ESTABLISHED",
  initiator: true,
  peerAnswered: true,
  negotiating: false,
  local: { address: "192.0.2.1", port: 4500, identity: "192.0.2.1", behindNat: false },
  remote: { address: "192.0.2.2", port: 4500, identity: "192.0.2.2", behindNat: false },
  establishedSeconds: 60,
  algorithms: {
    encryption: "AES_GCM_16",
    encryptionKeyLength: 256,
    prf: "PRF_HMAC_SHA2_256",
    keyExchange: "ECP_256",
  },
  children,
  ...differs,
});
