import { existsSync } from "node:fs";
import type { VirtualInterface } from "../gateway/virtual-interface.ts";
import { readSysctl } from "./host-checks.ts";
import { inspectHost, type Route } from "./inspect.ts";
import { takesPeers } from "./interface-routes.ts";
import { sysctlsFor } from "./interface-settings.ts";
import type { RunProgram } from "./run-program.ts";
import { modulesFor } from "./virtual-link.ts";

/** What is there of an interface; see ip-link(8), ip-address(8) and the kernel's ip-sysctl documentation. */
export type InterfaceState = {
  /** Absent when there is no such interface. */
  readonly link?: LinkState | undefined;
  /** As `address`, `address/length` or `address peer/length`. */
  readonly addresses: readonly AddressState[];
  /** Those over it in the main table. */
  readonly routes: readonly RouteState[];
  /** Values below /proc/sys by name with slashes; absent ones could not be read. */
  readonly sysctls: ReadonlyMap<string, string>;
  readonly modules: ReadonlySet<string>;
  /** All of the main table, where the way to a peer depends on them. */
  readonly mainRoutes?: readonly Route[];
};

export type LinkState = {
  /** `vti`, `vti6`, `xfrm`, …; empty for other kinds. */
  readonly kind: string;
  /** Of an XFRM interface. */
  readonly interfaceId?: number;
  /** The one below an XFRM interface. */
  readonly device?: string;
  readonly local: string;
  readonly remote: string;
  readonly inputKey: number;
  readonly outputKey: number;
  readonly mtu: number;
  readonly isUp: boolean;
};

export type AddressState = { readonly local: string; readonly peer?: string; readonly prefixLength: number };

export type RouteState = {
  /** As iproute2 prints it, but for the default ones. */
  readonly destination: string;
  /** How ip-route(8) adds it again, without the interface; absent for what the kernel adds with an address. */
  readonly words?: readonly string[];
};

/** What is there of the interface that is wanted, and of what it depends on. */
export const inspectInterface = async (
  wanted: VirtualInterface,
  runProgram: RunProgram,
): Promise<InterfaceState> => {
  const { name } = wanted;
  const [links, addresses, routes4, routes6] = await Promise.all([
    ipJson<readonly IpLink[]>(runProgram, ["-details", "link", "show", "dev", name]),
    ipJson<readonly IpAddresses[]>(runProgram, ["address", "show", "dev", name]),
    ipJson<readonly IpRoute[]>(runProgram, ["-4", "route", "show", "table", "main", "dev", name]),
    ipJson<readonly IpRoute[]>(runProgram, ["-6", "route", "show", "table", "main", "dev", name]),
  ]);
  const link = links?.[0];
  const routes = [...routeStates(routes4, "0.0.0.0/0"), ...routeStates(routes6, "::/0")];
  const present = routes.map(({ destination }) => destination);
  const host = takesPeers(wanted, present) ? await inspectHost(runProgram) : undefined;
  return {
    ...(link === undefined ? {} : { link: linkState(link) }),
    addresses: (addresses?.[0]?.addr_info ?? []).map((address) => ({
      local: address.local,
      ...(address.address === undefined ? {} : { peer: address.address }),
      prefixLength: address.prefixlen,
    })),
    routes,
    sysctls: new Map(
      sysctlsFor(wanted).flatMap((setting) => {
        const value = readSysctl(setting);
        return value === undefined ? [] : [[setting, value] as const];
      }),
    ),
    modules: new Set(modulesFor(wanted).filter(isPresent)),
    ...(host === undefined ? {} : { mainRoutes: host.mainRoutes }),
  };
};

type IpLink = {
  readonly mtu: number;
  readonly flags: readonly string[];
  /** The device below; null for none. */
  readonly link?: string | null;
  readonly linkinfo?: {
    readonly info_kind?: string;
    readonly info_data?: {
      readonly local?: string;
      readonly remote?: string;
      readonly ikey?: string;
      readonly okey?: string;
      readonly if_id?: string;
    };
  };
};

type IpAddresses = {
  readonly addr_info: readonly {
    readonly local: string;
    readonly address?: string;
    readonly prefixlen: number;
  }[];
};

type IpRoute = {
  readonly dst: string;
  readonly gateway?: string;
  readonly protocol?: string;
  readonly prefsrc?: string;
  readonly metric?: number;
};

const routeStates = (routes: readonly IpRoute[] | undefined, everything: string): readonly RouteState[] =>
  (routes ?? []).map((route) => {
    const destination = route.dst === "default" ? everything : route.dst;
    return route.protocol === "kernel"
      ? { destination }
      : { destination, words: [destination, ...attributes(route)] };
  });

const attributes = ({ gateway, protocol, prefsrc, metric }: IpRoute): readonly string[] => [
  ...(gateway === undefined ? [] : ["via", gateway]),
  ...(protocol === undefined ? [] : ["proto", protocol]),
  ...(prefsrc === undefined ? [] : ["src", prefsrc]),
  ...(metric === undefined ? [] : ["metric", String(metric)]),
];

/** Undefined when ip says that there is nothing of that name. */
const ipJson = async <T>(runProgram: RunProgram, words: readonly string[]): Promise<T | undefined> => {
  const { exitCode, stdout } = await runProgram(["ip", "-json", ...words]);
  return exitCode === 0 && stdout !== "" ? (JSON.parse(stdout) as T) : undefined;
};

const linkState = ({ mtu, flags, link, linkinfo }: IpLink): LinkState => ({
  kind: linkinfo?.info_kind ?? "",
  ...(linkinfo?.info_data?.if_id === undefined ? {} : { interfaceId: Number(linkinfo.info_data.if_id) }),
  ...(typeof link === "string" ? { device: link } : {}),
  local: linkinfo?.info_data?.local ?? "",
  remote: linkinfo?.info_data?.remote ?? "",
  inputKey: keyNumber(linkinfo?.info_data?.ikey),
  outputKey: keyNumber(linkinfo?.info_data?.okey),
  mtu,
  isUp: flags.includes("UP"),
});

/** iproute2 prints keys like addresses: 0.0.0.42. */
const keyNumber = (text: string | undefined): number =>
  (text ?? "0.0.0.0").split(".").reduce((number, byte) => number * 256 + Number(byte), 0);

/** Loaded, or built in with something to show; modprobe knows what else is built in. */
const isPresent = (module: string): boolean => existsSync(`/sys/module/${module}`);
