import type { Network } from "../ipsec/network.ts";
import { type SegmentSizes, segmentsIn } from "../ipsec/tunnel-overhead.ts";
import type { Values } from "../settings/settings.ts";
import type { PathMtu } from "./path-mtu.ts";
import { mtuFor, type VirtualInterface } from "./virtual-interface.ts";

/** What becomes of a tunnel's packets besides their protection. */
export type PacketRule = {
  readonly localNetworks: readonly Network[];
  readonly remoteNetworks: readonly Network[];
  /** Name of the virtual interface that its packets pass; absent where the networks alone tell which they are. */
  readonly interfaceName?: string;
  /** The largest TCP segments that hosts may agree on, by where ESP runs; absent where they are left to themselves. */
  readonly segments?: {
    readonly kernel: SegmentSizes;
    readonly userspace: SegmentSizes;
    /** Whether the operator named the size, and so counts on it. */
    readonly isDemanded: boolean;
  };
  /** Its packets keep their source address where others would translate it. */
  readonly keepsSource: boolean;
};

/** None where nothing is to be done, or nothing tells the tunnel's packets from others. */
export const packetRulesFor = (
  values: Values,
  virtual: VirtualInterface | undefined,
  pathMtu: PathMtu,
): readonly PacketRule[] => {
  const { IPSEC_LOCALNET: localNetworks = [], IPSEC_REMOTENET: remoteNetworks = [] } = values;
  const hasNetworks = localNetworks.length > 0 && remoteNetworks.length > 0;
  const segments = hasNetworks || virtual !== undefined ? segmentsFor(values, virtual, pathMtu) : undefined;
  const keepsSource = hasNetworks && values.IPSEC_NAT_EXEMPT;
  if (segments === undefined && !keepsSource) return [];
  return [
    {
      localNetworks,
      remoteNetworks,
      ...(virtual === undefined ? {} : { interfaceName: virtual.name }),
      ...(segments === undefined ? {} : { segments }),
      keepsSource,
    },
  ];
};

const segmentsFor = (
  values: Values,
  virtual: VirtualInterface | undefined,
  pathMtu: PathMtu,
): PacketRule["segments"] => {
  const { IPSEC_MSS: wanted } = values;
  if (typeof wanted === "number") {
    // The same packets: an IPv6 header is 20 bytes longer (RFC 791, RFC 8200).
    const sizes = { ipv4: wanted, ipv6: wanted - 20 };
    return { kernel: sizes, userspace: sizes, isDemanded: true };
  }
  if (wanted !== "auto") return undefined;
  return {
    kernel: segmentsIn(virtual?.mtu ?? mtuFor(values, values.IPSEC_FORCEUDP, pathMtu)),
    userspace: segmentsIn(Math.min(mtuFor(values, true, pathMtu), tunDeviceMtu)),
    isDemanded: false,
  };
};

/** Of strongSwan's `ipsec0`, whose ESP is always in UDP (kernel_libipsec_plugin.c, TUN_DEFAULT_MTU). */
const tunDeviceMtu = 1400;
