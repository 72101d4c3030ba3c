import type { Gateway } from "../gateway/gateway.ts";
import type { Backend, RenderOptions } from "./backend.ts";
import { type ConfigFile, marker } from "./config-file.ts";

/**
 * Renders charon's own settings (strongswan.conf(5)), the same for every way of loading connections.
 * It is included after the plugins' files, so it names no more of theirs than it must.
 */
export const renderCharonConf = (
  { usesStroke }: Pick<Backend, "usesStroke">,
  gateway: Gateway,
  { dataplane, templates }: Pick<RenderOptions, "dataplane" | "templates">,
): ConfigFile => ({
  path: "/etc/strongswan.d/charon.conf",
  mode: 0o644,
  ownedByDaemon: false,
  text: templates["strongswan/charon.conf"]({
    marker,
    // Over a VTI the routes are the operator's; those of charon would pull traffic away from it. For what is tied to an
    // XFRM interface it makes none (kernel_netlink_ipsec.c, add_policy_internal), but for others it still must.
    installRoutes: yesNo(!gateway.virtualInterfaces.some(({ kind }) => kind === "vti")),
    interfaces: gateway.interfaces.join(","),
    retransmit,
    retryInitiate: 5,
    // Level 2 tells what is decided and why. 3 dumps packets, and 4 would print keys.
    logLevel: gateway.debug ? 2 : 1,
    userspace: dataplane === "userspace",
    usesStroke,
    asksForRevocation: gateway.revocation !== "off",
  }),
});

export const yesNo = (value: boolean): string => (value ? "yes" : "no");

/**
 * When IKE messages are sent again: six times in the first four seconds, so that a DELETE gets through a lossy
 * path before a stop is over; at most ten seconds apart, so that a healed path is noticed; for 169 s in all.
 * RFC 7296 §2.4 wants a dozen over some minutes, growing apart; strongSwan's own five begin at four seconds.
 */
const retransmit = { timeout: 0.4, base: 1.3, limit: 10, tries: 26 };
