import type { LinkAddress, VirtualInterface } from "../gateway/virtual-interface.ts";
import type { AddressState, InterfaceState, LinkState, RouteState } from "./inspect-interface.ts";
import { planPeerRoutes, routesOver } from "./interface-routes.ts";
import { setSetting, setSysctls } from "./interface-settings.ts";
import { iprouteDestination } from "./iproute-destination.ts";
import type { Argv, Step } from "./step.ts";
import { addLink, addLinkAgain, difference, isSameLink, modulesFor } from "./virtual-link.ts";

/**
 * Steps from what is there to the interface as it should be; none when it is that already. What differs in what it
 * cannot change is made anew, the rest is changed in place.
 */
export const planVirtualInterface = (wanted: VirtualInterface, state: InterfaceState): readonly Step[] => {
  const isRight = state.link !== undefined && isSameLink(wanted, state.link);
  const present = isRight ? state : { ...state, link: undefined, addresses: [], routes: [] };
  return [
    ...modulesFor(wanted).flatMap((module) => loadModule(module, state)),
    ...(isRight ? [] : [...dismantle(wanted, state), ...createLink(wanted)]),
    ...setSysctls(wanted, state, isRight),
    ...setMtu(wanted, present.link),
    ...bringUp(wanted, present.link),
    // Not while it is down, when the kernel makes no route to an IPv6 address at the other end (net/ipv6/addrconf.c).
    ...setAddresses(wanted, present.addresses),
    // Before those that would take them.
    ...planPeerRoutes(wanted, state.mainRoutes ?? []),
    ...addRoutes(wanted, present.routes),
  ];
};

/** Why the interface that is there is not the one that is wanted; undefined when it is. */
export const mismatch = (wanted: VirtualInterface, { link }: InterfaceState): string | undefined => {
  if (link === undefined) return `${wanted.name} does not exist`;
  return isSameLink(wanted, link) ? undefined : `${wanted.name} ${difference(wanted)}`;
};

/** Commands that take the interface away; its addresses and routes go with it. */
const removeLink = ({ name }: VirtualInterface): Argv => ["ip", "link", "delete", "dev", name];

const loadModule = (module: string, { modules }: InterfaceState): readonly Step[] =>
  modules.has(module)
    ? []
    : [{ why: `load the kernel module ${module}`, argv: ["modprobe", module], optional: true }];

const createLink = (wanted: VirtualInterface): readonly Step[] => [
  {
    why: `create the virtual interface ${wanted.name}`,
    argv: addLink(wanted),
    undo: removeLink(wanted),
  },
];

/** Takes an interface that is not the wanted one apart piece by piece, so that each piece can be put back. */
const dismantle = (
  wanted: VirtualInterface,
  { link, addresses, routes, sysctls }: InterfaceState,
): readonly Step[] => {
  if (link === undefined) return [];
  const { name } = wanted;
  const which = `${name}, which ${difference(wanted)}`;
  const change = (object: "route" | "address", words: readonly string[]): Step => ({
    why: `take ${words.join(" ")} from ${which}`,
    argv: ["ip", object, "delete", ...words, "dev", name],
    undo: ["ip", object, "add", ...words, "dev", name],
  });
  return [
    ...routes.flatMap(({ words }) => (words === undefined ? [] : [change("route", words)])),
    ...addresses
      // The kernel gives every interface its own link-local address, and puts it back by itself.
      .filter(({ local }) => !local.startsWith("fe80:"))
      .map((address) => change("address", wordsOf(address))),
    ...(["disable_policy", "rp_filter"] as const).flatMap((key) => {
      const own = sysctls.get(`net/ipv4/conf/${name}/${key}`);
      const first = sysctls.get(`net/ipv4/conf/default/${key}`);
      return own === undefined || first === undefined || own === first
        ? []
        : [setSetting(wanted, key, first, own)];
    }),
    ...(link.isUp
      ? [{ why: `bring the old ${name} down`, argv: linkSet(name, "down"), undo: linkSet(name, "up") }]
      : []),
    {
      why: `remove ${which}`,
      argv: removeLink(wanted),
      undo: addLinkAgain(name, link),
    },
  ];
};

const linkSet = (name: string, ...words: string[]): Argv => ["ip", "link", "set", "dev", name, ...words];

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

const setAddresses = (wanted: VirtualInterface, present: readonly AddressState[]): readonly Step[] =>
  wanted.addresses.flatMap((address) => {
    if (present.some((one) => isThere(address, one))) return [];
    const argv = (verb: string, words: readonly string[]): Argv => [
      ...(["ip", "address", verb] as const),
      ...words,
      ...["dev", wanted.name],
    ];
    const own = addressWords(address);
    return [
      // With another length or other end the kernel would refuse it over IPv6, and keep both over IPv4.
      ...present
        .filter((one) => one.local === address.local.address.text)
        .filter((one) => !wanted.addresses.some((other) => isThere(other, one)))
        .map((other) => ({
          why: `take ${wordsOf(other).join(" ")} from ${wanted.name}, whose address differs in its length or its peer`,
          argv: argv("delete", wordsOf(other)),
          undo: argv("add", wordsOf(other)),
        })),
      { why: `give ${wanted.name} its address`, argv: argv("add", own), undo: argv("delete", own) },
    ];
  });

const wordsOf = ({ local, peer, prefixLength }: AddressState): readonly string[] =>
  peer === undefined ? [`${local}/${prefixLength}`] : [local, "peer", `${peer}/${prefixLength}`];

const isThere = ({ local, peer }: LinkAddress, present: AddressState): boolean =>
  present.local === local.address.text &&
  (peer === undefined || present.peer === peer.text) &&
  (local.prefixLength === undefined || peer !== undefined || present.prefixLength === local.prefixLength);

/** `LOCAL peer PEER`, or `LOCAL/length`. */
const addressWords = ({ local, peer }: LinkAddress): readonly string[] => {
  if (peer !== undefined) return [local.address.text, "peer", peer.text];
  const full = local.address.family === "ipv4" ? 32 : 128;
  return [`${local.address.text}/${local.prefixLength ?? full}`];
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

const addRoutes = (wanted: VirtualInterface, present: readonly RouteState[]): readonly Step[] =>
  routesOver(wanted)
    .filter((route) => !present.some(({ destination }) => destination === iprouteDestination(route)))
    .map((route) => ({
      why: `route ${route.text} over ${wanted.name}`,
      argv: ["ip", "route", "add", route.text, "dev", wanted.name] as Argv,
      undo: ["ip", "route", "delete", route.text, "dev", wanted.name] as Argv,
    }));
