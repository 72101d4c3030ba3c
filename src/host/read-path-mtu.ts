import { ethernetMtu, type PathMtu, usualPathMtu } from "../gateway/path-mtu.ts";
import { isVirtualInterfaceName } from "../gateway/virtual-interface.ts";
import type { Values } from "../settings/settings.ts";
import { virtualInterfaceVariable } from "../settings/virtual-interface-variable.ts";
import type { RunProgram } from "./run-program.ts";

/**
 * What the host says of the way to each peer: the MTU of its route (ip-route(8)), or of the interface by which it leaves.
 * A peer without an address, or without a way yet, counts as behind the default route. More than Ethernet takes is true of
 * the first link at most, so it does not count; nor does what the kernel has learned (RFC 1191), which it forgets again.
 */
export const readPathMtu = async (tunnels: readonly Values[], runProgram: RunProgram): Promise<PathMtu> => {
  if (!tunnels.some(dependsOnPath)) return usualPathMtu;
  const questions = new Set(tunnels.flatMap(routeQuestion));
  const input = ["link show", "route show default", ...questions, ""].join("\n");
  // A question without an answer does not keep the others from theirs.
  const { stdout } = await runProgram(["ip", "-json", "-force", "-batch", "-"], input);
  const answers = stdout.split("\n").flatMap(parseAnswer);
  const linkMtus = new Map(answers.flatMap(({ ifname, mtu }) => (ifname && mtu ? [[ifname, mtu]] : [])));
  const mtus = new Map<string, number>();
  for (const { dst, dev = "", expires, metrics = [] } of answers) {
    // Over an interface of ours goes what is in a tunnel.
    if (dst === undefined || isVirtualInterfaceName(dev)) continue;
    const ofRoute = expires === undefined ? metrics.flatMap(({ mtu }) => mtu ?? []) : [];
    mtus.set(dst, Math.min(mtus.get(dst) ?? ethernetMtu, linkMtus.get(dev) ?? ethernetMtu, ...ofRoute));
  }
  const otherwise = mtus.get("default") ?? ethernetMtu;
  return (peer) => (peer.kind === "address" ? mtus.get(peer.address.text) : undefined) ?? otherwise;
};

const dependsOnPath = (tunnel: Values): boolean =>
  tunnel.IPSEC_MSS === "auto" ||
  (tunnel.IPSEC_MTU === "auto" && virtualInterfaceVariable(tunnel) !== undefined);

/** Of links and of routes alike. */
type Answer = {
  readonly ifname?: string;
  readonly mtu?: number;
  readonly dst?: string;
  readonly dev?: string;
  readonly metrics?: readonly { readonly mtu?: number }[];
  /** Seconds until the kernel forgets what a router has told it. */
  readonly expires?: number;
};

/** Rules by source (ip-rule(8)) may lead elsewhere. */
const routeQuestion = ({ IPSEC_LOCALIP: local, IPSEC_REMOTEIP: remote }: Values): readonly string[] => {
  if (remote.kind !== "address") return [];
  const from = local.kind === "address" ? ` from ${local.address.text}` : "";
  return [`route get ${remote.address.text}${from}`];
};

const parseAnswer = (line: string): readonly Answer[] =>
  line.startsWith("[") ? (JSON.parse(line) as readonly Answer[]) : [];
