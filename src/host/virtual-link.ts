import type { VirtualInterface, Vti } from "../gateway/virtual-interface.ts";
import type { Endpoint } from "../ipsec/address.ts";
import type { LinkState } from "./inspect-interface.ts";
import type { Argv } from "./step.ts";

/** Modules behind an interface and its ESP. */
export const modulesFor = (wanted: VirtualInterface): readonly string[] => {
  switch (wanted.kind) {
    case "vti":
      return familyOf(wanted) === "ipv6" ? ["xfrm_user", "esp6", "ip6_vti"] : ["xfrm_user", "esp4", "ip_vti"];
    case "xfrm":
      return ["xfrm_user", ...espModules(wanted.peers), "xfrm_interface"];
    default:
      return wanted satisfies never;
  }
};

/** A peer whose address is not known may have one of either family. */
const espModules = (peers: readonly Endpoint[]): readonly string[] =>
  (["ipv4", "ipv6"] as const)
    .filter((family) => peers.some((peer) => peer.kind !== "address" || peer.address.family === family))
    .map((family) => ({ ipv4: "esp4", ipv6: "esp6" })[family]);

/** The variable that asks for such an interface. */
export const variableOf = ({ kind }: VirtualInterface): "IPSEC_VTI_KEY" | "IPSEC_XFRM_IF_ID" =>
  kind === "vti" ? "IPSEC_VTI_KEY" : "IPSEC_XFRM_IF_ID";

/**
 * The command that makes it. An XFRM interface gets no underlying device: that would only name the VRF in which the
 * peer is looked for (net/xfrm/xfrm_interface_core.c, net/ipv4/xfrm4_policy.c), and ESP may leave by any.
 */
export const addLink = (wanted: VirtualInterface): Argv => {
  const { name } = wanted;
  switch (wanted.kind) {
    case "vti": {
      const ends = { local: anyOr(wanted.local, wanted), remote: anyOr(wanted.remote, wanted) };
      return vtiCommand(name, [], kindOf(wanted), ends, wanted.key);
    }
    case "xfrm":
      return xfrmCommand(name, [], undefined, wanted.interfaceId);
    default:
      return wanted satisfies never;
  }
};

/** The command that makes again what was found. */
export const addLinkAgain = (name: string, link: LinkState): Argv => {
  const mtu = ["mtu", String(link.mtu)];
  return link.interfaceId === undefined
    ? vtiCommand(name, mtu, link.kind, link, link.outputKey)
    : xfrmCommand(name, mtu, link.device, link.interfaceId);
};

/** Whether what was found is the wanted one, as far as it cannot be changed. */
export const isSameLink = (wanted: VirtualInterface, link: LinkState): boolean => {
  switch (wanted.kind) {
    case "vti":
      return (
        link.kind === kindOf(wanted) &&
        link.inputKey === wanted.key &&
        link.outputKey === wanted.key &&
        sameEnd(wanted.local, link.local) &&
        sameEnd(wanted.remote, link.remote)
      );
    case "xfrm":
      return link.kind === "xfrm" && link.interfaceId === wanted.interfaceId;
    default:
      return wanted satisfies never;
  }
};

/** What one of that name has that is not the same. */
export const difference = ({ kind }: VirtualInterface): string =>
  kind === "vti" ? "has other ends or another key" : "is no XFRM interface, or has another if_id";

const vtiCommand = (
  name: string,
  options: readonly string[],
  kind: string,
  { local, remote }: Pick<LinkState, "local" | "remote">,
  key: number,
): Argv => [
  ...(["ip", "link", "add", name, ...options, "type", kind] as const),
  ...["local", local, "remote", remote, "key", String(key)],
];

const xfrmCommand = (
  name: string,
  options: readonly string[],
  device: string | undefined,
  interfaceId: number,
): Argv => [
  ...(["ip", "link", "add", name, ...options, "type", "xfrm"] as const),
  ...(device === undefined ? [] : ["dev", device]),
  ...["if_id", String(interfaceId)],
];

/** iproute2 prints an open end as `any`. */
const sameEnd = (wanted: Endpoint, printed: string): boolean =>
  wanted.kind === "address"
    ? wanted.address.text === printed
    : ["any", "0.0.0.0", "::", ""].includes(printed);

const anyOr = (endpoint: Endpoint, vti: Vti): string =>
  endpoint.kind === "address" ? endpoint.address.text : familyOf(vti) === "ipv6" ? "::" : "any";

const kindOf = (vti: Vti): "vti" | "vti6" => (familyOf(vti) === "ipv6" ? "vti6" : "vti");

const familyOf = ({ local, remote }: Vti): "ipv4" | "ipv6" => {
  const end = local.kind === "address" ? local : remote;
  return end.kind === "address" ? end.address.family : "ipv4";
};
