import type { VirtualInterface } from "../gateway/virtual-interface.ts";
import type { InterfaceState } from "./inspect-interface.ts";
import type { Argv, Step } from "./step.ts";

/** Names below /proc/sys that decide whether packets pass the interface. */
export const sysctlsFor = ({ name, kind }: VirtualInterface): readonly string[] => [
  // What an interface that does not exist yet will begin with, and what counts for all.
  ...(kind === "vti" ? [`net/ipv4/conf/${name}/disable_policy`, "net/ipv4/conf/default/disable_policy"] : []),
  `net/ipv4/conf/${name}/rp_filter`,
  "net/ipv4/conf/default/rp_filter",
  "net/ipv4/conf/all/rp_filter",
];

/**
 * `disable_policy`, of a VTI only: the policies have been applied outside (strongSwan's routeBasedVpn documentation).
 * rp_filter: the larger of `all` and the interface's own counts, and 1 would drop what comes out of the tunnel
 * from networks that are routed elsewhere; 2 accepts what is reachable at all (RFC 3704 §2.4).
 */
export const setSysctls = (
  wanted: VirtualInterface,
  { sysctls }: InterfaceState,
  exists: boolean,
): readonly Step[] => {
  const effective = (key: string): string | undefined =>
    sysctls.get(`net/ipv4/conf/${exists ? wanted.name : "default"}/${key}`);
  const set = (key: string, value: string): Step =>
    setSetting(wanted, key, value, exists ? effective(key) : undefined);
  const policy =
    wanted.kind === "xfrm" || effective("disable_policy") === "1" ? [] : [set("disable_policy", "1")];
  const counted = [effective("rp_filter"), sysctls.get("net/ipv4/conf/all/rp_filter")];
  const isStrict = Math.max(...counted.map((value) => Number(value ?? 0))) === 1;
  return [...policy, ...(isStrict ? [set("rp_filter", "2")] : [])];
};

/** Of an interface that is made here nothing needs to be put back: it goes as a whole. */
export const setSetting = (
  { name }: VirtualInterface,
  key: string,
  value: string,
  before: string | undefined,
): Step => {
  const argv = (to: string): Argv => ["sysctl", "-w", `net.ipv4.conf.${name}.${key}=${to}`];
  const why = `set ${key} of ${name} to ${value}`;
  return before === undefined ? { why, argv: argv(value) } : { why, argv: argv(value), undo: argv(before) };
};
