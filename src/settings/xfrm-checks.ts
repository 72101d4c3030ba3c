import { isDefaultRoute } from "../ipsec/network.ts";
import type { Collector, Context } from "./cross-checks.ts";
import type { Values } from "./settings.ts";

/** What an XFRM interface needs, and what cannot be with it. */
export const checkXfrmInterface = (values: Values, context: Context, collect: Collector): void => {
  const { error, warn } = collect;
  const { IPSEC_XFRM_IF_ID: id } = values;
  const given = details.filter((name) => context.isGiven(name));
  if (id === undefined) {
    if (context.hasFailed("IPSEC_XFRM_IF_ID") || given.length === 0) return;
    warn(
      given,
      `${given.join(", ")} without IPSEC_XFRM_IF_ID: there is no XFRM interface`,
      "for example IPSEC_XFRM_IF_ID=42",
    );
    return;
  }
  if (values.IPSEC_VTI_KEY !== undefined) {
    error(
      ["IPSEC_XFRM_IF_ID", "IPSEC_VTI_KEY"],
      "IPSEC_XFRM_IF_ID and IPSEC_VTI_KEY are both set, and a tunnel has one virtual interface",
      "leave IPSEC_VTI_KEY out: an XFRM interface does all that a VTI does",
    );
  }
  if (context.purpose === "gateway") checkGateway(id, values, collect);
  checkAddresses(values, context, collect);
  checkWayToPeer(values, collect);
};

const details = ["IPSEC_XFRM_STATICROUTES", "IPSEC_XFRM_IPADDR_LOCAL", "IPSEC_XFRM_IPADDR_PEER"] as const;

const checkGateway = (id: number, values: Values, { error }: Collector): void => {
  // ipsec.conf(5) knows no if_id_in and if_id_out, mounted or not.
  if (values.IPSEC_BACKEND === "stroke") {
    error(
      ["IPSEC_XFRM_IF_ID", "IPSEC_BACKEND"],
      "IPSEC_XFRM_IF_ID cannot be said in ipsec.conf, which IPSEC_BACKEND=stroke uses",
      "set IPSEC_BACKEND=swanctl",
    );
  }
  if (values.IPSEC_DATAPLANE === "userspace") {
    error(
      ["IPSEC_XFRM_IF_ID", "IPSEC_DATAPLANE"],
      "IPSEC_XFRM_IF_ID needs ESP in the kernel, and IPSEC_DATAPLANE=userspace excludes it",
      "set IPSEC_DATAPLANE=kernel or auto, or leave IPSEC_XFRM_IF_ID out",
    );
  }
  // IF_ID_UNIQUE and IF_ID_UNIQUE_DIR of libstrongswan/ipsec/ipsec_types.h.
  if (id >= 0xffff_fffe && !values.IPSEC_USE_MANUAL_CONFIG) {
    error(
      ["IPSEC_XFRM_IF_ID"],
      `IPSEC_XFRM_IF_ID=${id} cannot tie a tunnel to an interface: to the IKE daemon it means one of its own choice`,
      "take another number, for example IPSEC_XFRM_IF_ID=42",
    );
  }
};

const checkAddresses = (values: Values, context: Context, { error }: Collector): void => {
  if (context.hasFailed("IPSEC_XFRM_IPADDR_LOCAL")) return;
  const locals = values.IPSEC_XFRM_IPADDR_LOCAL ?? [];
  for (const { family, text } of values.IPSEC_XFRM_IPADDR_PEER ?? []) {
    if (locals.some(({ address }) => address.family === family)) continue;
    error(
      ["IPSEC_XFRM_IPADDR_PEER", "IPSEC_XFRM_IPADDR_LOCAL"],
      `IPSEC_XFRM_IPADDR_PEER=${text} has no address of its family in IPSEC_XFRM_IPADDR_LOCAL`,
      family === "ipv4"
        ? "for example IPSEC_XFRM_IPADDR_LOCAL=169.254.10.1"
        : "for example IPSEC_XFRM_IPADDR_LOCAL=fd00:42::1",
    );
  }
};

/** The packets to the peer need a route around the interface, which takes an address to route. */
const checkWayToPeer = (values: Values, { error }: Collector): void => {
  const { IPSEC_LOCALIP: local, IPSEC_REMOTEIP: remote } = values;
  if (remote === undefined || remote.kind === "address") return;
  const outer = local?.kind === "address" ? local.address.family : undefined;
  const everything = (values.IPSEC_XFRM_STATICROUTES ?? []).find(
    (route) => isDefaultRoute(route) && (outer === undefined || outer === route.family),
  );
  if (everything === undefined) return;
  const where = remote.kind === "name" ? remote.name : "%any";
  error(
    ["IPSEC_XFRM_STATICROUTES", "IPSEC_REMOTEIP"],
    `IPSEC_XFRM_STATICROUTES=${everything.text} would lead the tunnel's own packets into the tunnel: IPSEC_REMOTEIP=${where} does not tell where they go`,
    "set IPSEC_REMOTEIP to the peer's address, or name the networks behind it",
  );
};
