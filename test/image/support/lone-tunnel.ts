/** An environment without a fault, for a gateway that needs no peer because it gets nowhere. */
export const loneTunnel = {
  IPSEC_LOCALIP: "192.0.2.1",
  IPSEC_REMOTEIP: "192.0.2.2",
  IPSEC_LOCALNET: "10.1.0.0/24",
  IPSEC_REMOTENET: "10.2.0.0/24",
  IPSEC_PSK: "a pre-shared key of more than twenty bytes",
};
