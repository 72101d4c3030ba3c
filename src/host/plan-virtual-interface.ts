import type { VirtualInterface } from "../gateway/virtual-interface.ts";
import type { Endpoint } from "../ipsec/address.ts";
import type { AddressState, InterfaceState, LinkState, RouteState } from "./inspect-interface.ts";
import { iprouteDestination } from "./iproute-destination.ts";
import type { Argv, Step } from "./step.ts";

/** Modules behind a VTI and its ESP, by the family of its ends. */
export const modulesFor = (vti: VirtualInterface): readonly string[] =>
  familyOf(vti) === "ipv6" ? ["xfrm_user", "esp6", "ip6_vti"] : ["xfrm_user", "esp4", "ip_vti"];

/** Names below /proc/sys that decide whether packets pass the interface. */
export const sysctlsFor = ({ name }: VirtualInterface): readonly string[] => [
  `net/ipv4/conf/${name}/disable_policy`,
  `net/ipv4/conf/${name}/rp_filter`,
  "net/ipv4/conf/all/rp_filter",
  // What an interface that does not exist yet will begin with.
  "net/ipv4/conf/default/disable_policy",
  "net/ipv4/conf/default/rp_filter",
];

/**
 * Steps from what is there to the interface as it should be; none when it is that already. What differs in its
 * ends or key is made anew (a VTI cannot change them), the rest is changed in place.
 */
export const planVirtualInterface = (vti: VirtualInterface, state: InterfaceState): readonly Step[] => {
  const isRight = state.link !== undefined && matches(vti, state.link);
  const present = isRight ? state : { ...state, link: undefined, addresses: [], routes: [] };
  return [
    ...modulesFor(vti).flatMap((module) => loadModule(module, state)),
    ...(isRight ? [] : [...dismantle(vti, state), ...createLink(vti)]),
    ...setSysctls(vti, state, isRight),
    ...setMtu(vti, present.link),
    ...setAddress(vti, present.addresses),
    ...bringUp(vti, present.link),
    ...addRoutes(vti, present.routes),
  ];
};

/** Why the interface that is there is not the one that is wanted; undefined when it is. */
export const mismatch = (vti: VirtualInterface, { link }: InterfaceState): string | undefined => {
  if (link === undefined) return `${vti.name} does not exist`;
  return matches(vti, link) ? undefined : `${vti.name} has other ends or another key`;
};

/** Commands that take the interface away; its addresses and routes go with it. */
export const removeVirtualInterface = ({ name }: VirtualInterface): Argv => [
  "ip",
  "link",
  "delete",
  "dev",
  name,
];

const loadModule = (module: string, { modules }: InterfaceState): readonly Step[] =>
  modules.has(module)
    ? []
    : [{ why: `load the kernel module ${module}`, argv: ["modprobe", module], optional: true }];

const createLink = (vti: VirtualInterface): readonly Step[] => [
  {
    why: `create the virtual interface ${vti.name}`,
    argv: linkCommand(vti.name, [
      kindOf(vti),
      anyOr(vti.local, vti),
      anyOr(vti.remote, vti),
      String(vti.key),
    ]),
    undo: removeVirtualInterface(vti),
  },
];

/** Takes an interface with other ends or another key apart piece by piece, so that each piece can be put back. */
const dismantle = (
  vti: VirtualInterface,
  { link, addresses, routes, sysctls }: InterfaceState,
): readonly Step[] => {
  if (link === undefined) return [];
  const { name } = vti;
  const change = (object: "route" | "address", words: readonly string[]): Step => ({
    why: `take ${words.join(" ")} from ${name}, which has other ends or another key`,
    argv: ["ip", object, "delete", ...words, "dev", name],
    undo: ["ip", object, "add", ...words, "dev", name],
  });
  return [
    ...routes.flatMap(({ words }) => (words === undefined ? [] : [change("route", words)])),
    ...addresses
      // The kernel gives every interface its own link-local address, and puts it back by itself.
      .filter(({ local }) => !local.startsWith("fe80:"))
      .map(({ local, peer, prefixLength }) =>
        change(
          "address",
          peer === undefined ? [`${local}/${prefixLength}`] : [local, "peer", `${peer}/${prefixLength}`],
        ),
      ),
    ...(["disable_policy", "rp_filter"] as const).flatMap((key) => {
      const own = sysctls.get(`net/ipv4/conf/${name}/${key}`);
      const first = sysctls.get(`net/ipv4/conf/default/${key}`);
      return own === undefined || first === undefined || own === first
        ? []
        : [setSetting(vti, key, first, own)];
    }),
    ...(link.isUp
      ? [{ why: `bring the old ${name} down`, argv: linkSet(name, "down"), undo: linkSet(name, "up") }]
      : []),
    {
      why: `remove ${name}, which has other ends or another key`,
      argv: removeVirtualInterface(vti),
      undo: recreate(name, link),
    },
  ];
};

const linkSet = (name: string, ...words: string[]): Argv => ["ip", "link", "set", "dev", name, ...words];

type LinkWords = readonly [kind: string, local: string, remote: string, key: string];

const linkCommand = (name: string, [kind, local, remote, key]: LinkWords, ...options: string[]): Argv => [
  ...(["ip", "link", "add", name, ...options, "type", kind] as const),
  ...["local", local, "remote", remote, "key", key],
];

const recreate = (name: string, { kind, local, remote, outputKey, mtu }: LinkState): Argv =>
  linkCommand(name, [kind, local, remote, String(outputKey)], "mtu", String(mtu));

/**
 * `disable_policy`: the policies have been applied outside (strongSwan's routeBasedVpn documentation).
 * rp_filter: the larger of `all` and the interface's own counts, and 1 would drop what comes out of the tunnel
 * from networks that are routed elsewhere; 2 accepts what is reachable at all (RFC 3704 §2.4).
 */
const setSysctls = (vti: VirtualInterface, { sysctls }: InterfaceState, exists: boolean): readonly Step[] => {
  const effective = (key: string): string | undefined =>
    sysctls.get(`net/ipv4/conf/${exists ? vti.name : "default"}/${key}`);
  const set = (key: string, value: string): Step =>
    setSetting(vti, key, value, exists ? effective(key) : undefined);
  const policy = effective("disable_policy") === "1" ? [] : [set("disable_policy", "1")];
  const counted = [effective("rp_filter"), sysctls.get("net/ipv4/conf/all/rp_filter")];
  const isStrict = Math.max(...counted.map((value) => Number(value ?? 0))) === 1;
  return [...policy, ...(isStrict ? [set("rp_filter", "2")] : [])];
};

/** Of an interface that is made here nothing needs to be put back: it goes as a whole. */
const setSetting = (
  { name }: VirtualInterface,
  key: string,
  value: string,
  before: string | undefined,
): Step => {
  const argv = (to: string): Argv => ["sysctl", "-w", `net.ipv4.conf.${name}.${key}=${to}`];
  const why = `set ${key} of ${name} to ${value}`;
  return before === undefined ? { why, argv: argv(value) } : { why, argv: argv(value), undo: argv(before) };
};

const setMtu = ({ name, mtu }: VirtualInterface, link: LinkState | undefined): readonly Step[] =>
  mtu === undefined || link?.mtu === mtu
    ? []
    : [
        {
          why: `set the MTU of ${name} to ${mtu}`,
          argv: ["ip", "link", "set", "dev", name, "mtu", String(mtu)],
          ...undoMtu(name, link),
        },
      ];

const undoMtu = (name: string, link: LinkState | undefined): { readonly undo?: Argv } =>
  link === undefined ? {} : { undo: ["ip", "link", "set", "dev", name, "mtu", String(link.mtu)] };

const setAddress = (vti: VirtualInterface, present: readonly AddressState[]): readonly Step[] => {
  const words = addressWords(vti);
  if (vti.address === undefined || words === undefined) return [];
  const wanted = vti.address;
  const isThere = present.some(
    (address) =>
      address.local === wanted.address.text &&
      (vti.peerAddress === undefined || address.peer === vti.peerAddress.text) &&
      (wanted.prefixLength === undefined ||
        vti.peerAddress !== undefined ||
        address.prefixLength === wanted.prefixLength),
  );
  if (isThere) return [];
  const argv = (verb: string): Argv => ["ip", "address", verb, ...words, "dev", vti.name];
  return [{ why: `give ${vti.name} its address`, argv: argv("add"), undo: argv("delete") }];
};

/** `LOCAL peer PEER`, or `LOCAL/length`. */
const addressWords = ({ address, peerAddress }: VirtualInterface): readonly string[] | undefined => {
  if (address === undefined) return undefined;
  if (peerAddress !== undefined) return [address.address.text, "peer", peerAddress.text];
  const full = address.address.family === "ipv4" ? 32 : 128;
  return [`${address.address.text}/${address.prefixLength ?? full}`];
};

const bringUp = ({ name }: VirtualInterface, link: LinkState | undefined): readonly Step[] =>
  link?.isUp
    ? []
    : [
        {
          why: `bring ${name} up`,
          argv: ["ip", "link", "set", "dev", name, "up"],
          ...(link === undefined ? {} : { undo: ["ip", "link", "set", "dev", name, "down"] as Argv }),
        },
      ];

const addRoutes = (vti: VirtualInterface, present: readonly RouteState[]): readonly Step[] =>
  vti.routes
    .filter((route) => !present.some(({ destination }) => destination === iprouteDestination(route)))
    .map((route) => ({
      why: `route ${route.text} over ${vti.name}`,
      argv: ["ip", "route", "add", route.text, "dev", vti.name] as Argv,
      undo: ["ip", "route", "delete", route.text, "dev", vti.name] as Argv,
    }));

const matches = (vti: VirtualInterface, link: LinkState): boolean =>
  link.kind === kindOf(vti) &&
  link.inputKey === vti.key &&
  link.outputKey === vti.key &&
  sameEnd(vti.local, link.local) &&
  sameEnd(vti.remote, link.remote);

/** iproute2 prints an open end as `any`. */
const sameEnd = (wanted: Endpoint, printed: string): boolean =>
  wanted.kind === "address"
    ? wanted.address.text === printed
    : ["any", "0.0.0.0", "::", ""].includes(printed);

const anyOr = (endpoint: Endpoint, vti: VirtualInterface): string =>
  endpoint.kind === "address" ? endpoint.address.text : familyOf(vti) === "ipv6" ? "::" : "any";

const kindOf = (vti: VirtualInterface): "vti" | "vti6" => (familyOf(vti) === "ipv6" ? "vti6" : "vti");

const familyOf = ({ local, remote }: VirtualInterface): "ipv4" | "ipv6" => {
  const end = local.kind === "address" ? local : remote;
  return end.kind === "address" ? end.address.family : "ipv4";
};
