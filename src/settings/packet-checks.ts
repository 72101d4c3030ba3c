import type { Collector, Context } from "./cross-checks.ts";
import type { Values } from "./settings.ts";
import { virtualInterfaceVariable } from "./virtual-interface-variable.ts";

/** What the variables of packets and their sizes need of others. */
export const checkPackets = (values: Values, context: Context, collect: Collector): void => {
  checkIpv6Mtu(values, collect);
  if (context.purpose === "gateway") checkWhichPackets(values, context, collect);
};

/** Linux takes IPv6 away from an interface whose MTU is less than RFC 8200 §5 has for every link. */
const checkIpv6Mtu = (values: Values, { error }: Collector): void => {
  const { IPSEC_MTU: mtu } = values;
  if (typeof mtu !== "number" || mtu >= leastIpv6Mtu || virtualInterfaceVariable(values) === undefined)
    return;
  const inside = ipv6Inside(values);
  if (inside === undefined) return;
  error(
    ["IPSEC_MTU", inside.variable],
    `IPSEC_MTU=${mtu} is too small for IPv6, which ${inside.variable}=${inside.text} asks for`,
    `IPv6 needs IPSEC_MTU=${leastIpv6Mtu} at least (RFC 8200 §5)`,
  );
};

/** Of every link that carries IPv6 (RFC 8200 §5). */
export const leastIpv6Mtu = 1280;

/** The variable that asks for IPv6 inside the tunnel, and its words; undefined where none does. */
export const ipv6Inside = (values: Values) =>
  (
    [
      ["IPSEC_XFRM_STATICROUTES", values.IPSEC_XFRM_STATICROUTES],
      ["IPSEC_XFRM_IPADDR_LOCAL", values.IPSEC_XFRM_IPADDR_LOCAL?.map(({ address }) => address)],
      ["IPSEC_VTI_STATICROUTES", values.IPSEC_VTI_STATICROUTES],
      ["IPSEC_VTI_IPADDR_LOCAL", values.IPSEC_VTI_IPADDR_LOCAL && [values.IPSEC_VTI_IPADDR_LOCAL.address]],
      ["IPSEC_REMOTENET", values.IPSEC_REMOTENET],
    ] as const
  ).flatMap(([variable, things = []]) =>
    things.filter(({ family }) => family === "ipv6").map(({ text }) => ({ variable, text })),
  )[0];

/** In manual configuration nobody need tell the networks, and then nothing tells the tunnel's packets from others. */
const checkWhichPackets = (values: Values, context: Context, { warn }: Collector): void => {
  if (!values.IPSEC_USE_MANUAL_CONFIG) return;
  const named = values.IPSEC_LOCALNET !== undefined && values.IPSEC_REMOTENET !== undefined;
  const hasFailed = context.hasFailed("IPSEC_LOCALNET") || context.hasFailed("IPSEC_REMOTENET");
  if (named || hasFailed) return;
  const hint = "name the mounted networks in IPSEC_LOCALNET and IPSEC_REMOTENET too";
  if (values.IPSEC_NAT_EXEMPT)
    warn(
      ["IPSEC_NAT_EXEMPT", "IPSEC_USE_MANUAL_CONFIG"],
      "IPSEC_NAT_EXEMPT=yes has no effect with IPSEC_USE_MANUAL_CONFIG: which packets are the tunnel's is not known",
      hint,
    );
  if (typeof values.IPSEC_MSS === "number" && virtualInterfaceVariable(values) === undefined)
    warn(
      ["IPSEC_MSS", "IPSEC_USE_MANUAL_CONFIG"],
      `IPSEC_MSS=${values.IPSEC_MSS} has no effect with IPSEC_USE_MANUAL_CONFIG: which packets are the tunnel's is not known`,
      hint,
    );
};
