import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { Namespace } from "./namespace.ts";
import type { Addresses } from "./site.ts";

export const siteNames = ["moon", "sun", "venus"] as const;
export type SiteName = (typeof siteNames)[number];

export type End = {
  readonly name: SiteName;
  readonly namespace: Namespace;
  readonly addresses: Addresses;
};

/** Documentation prefixes (RFC 5737, RFC 3849) outside, private networks inside. */
export const addressesOf = (
  name: SiteName,
  networks: readonly string[] | undefined,
  ipv6: boolean,
): Addresses => {
  const number = siteNames.indexOf(name) + 1;
  const inner = networks ?? [`10.${number}.0.0/24`, ...(ipv6 ? [`2001:db8:${number}::/64`] : [])];
  return {
    address: `192.0.2.${number}`,
    address6: `2001:db8::${number}`,
    networks: inner,
    hosts: inner.map(firstHost),
  };
};

/**
 * A cable between two sites. Each has a default route to the other, so that a packet that misses the tunnel
 * leaves in clear, where a capture sees it, instead of failing unseen for want of a route.
 */
export const connectDirectly = async ([one, other]: readonly [End, End], ipv6: boolean): Promise<void> => {
  await connect([one.namespace, "eth0"], [other.namespace, "eth0"]);
  await Promise.all(
    [[one, other.addresses] as const, [other, one.addresses] as const].map(
      ([{ namespace, addresses }, next]) =>
        batch(namespace, [
          ...raise("eth0"),
          `address add ${addresses.address}/24 dev eth0`,
          `route add default via ${next.address}`,
          ...(ipv6
            ? [
                `address add ${addresses.address6}/64 dev eth0 nodad`,
                `route add default via ${next.address6} dev eth0`,
              ]
            : []),
          ...innerAddresses(addresses),
        ]),
    ),
  );
};

const routerAddress = "192.0.2.254";
const routerAddress6 = "2001:db8::fffe";

/** The endpoints keep the addresses that they have with a cable: each is alone on its link, the router beyond. */
export const connectThroughRouter = async (
  router: Namespace,
  ends: readonly End[],
  ipv6: boolean,
): Promise<void> => {
  await Promise.all(ends.map(({ name, namespace }) => connect([namespace, "eth0"], [router, name])));
  await Promise.all([
    ...ends.map(({ namespace, addresses }) =>
      batch(namespace, [
        ...raise("eth0"),
        `address add ${addresses.address}/32 dev eth0`,
        `route add ${routerAddress}/32 dev eth0`,
        `route add default via ${routerAddress}`,
        ...(ipv6
          ? [
              `address add ${linkLocal(addresses.address6)} dev eth0 nodad`,
              `address add ${addresses.address6}/128 dev eth0 nodad`,
              `route add ${routerAddress6}/128 dev eth0`,
              `route add default via ${routerAddress6} dev eth0`,
            ]
          : []),
        ...innerAddresses(addresses),
      ]),
    ),
    batch(
      router,
      ends.flatMap(({ name, addresses }) => [
        ...raise(name),
        `address add ${routerAddress}/32 dev ${name}`,
        `route add ${addresses.address}/32 dev ${name}`,
        ...(ipv6
          ? [
              `address add ${linkLocal(routerAddress6)} dev ${name} nodad`,
              `address add ${routerAddress6}/128 dev ${name} nodad`,
              `route add ${addresses.address6}/128 dev ${name}`,
            ]
          : []),
      ]),
    ),
  ]);
};

/** Link-local addresses of the kernel's own making would come a moment later and make two snapshots differ. */
const raise = (device: string): string[] => [`link set ${device} addrgenmode none`, `link set ${device} up`];

/** A router cannot ask for a neighbour without one: it forwards from addresses that are not its own. */
const linkLocal = (address6: string): string => `${address6.replace("2001:db8::", "fe80::")}/64`;

const innerAddresses = ({ hosts, networks }: Addresses): string[] =>
  hosts.map((host, index) => `address add ${host}/${networks[index]?.split("/")[1]} dev lo`);

/** The address after the network's own; a /32 or /128 is its own host. */
const firstHost = (network: string): string => {
  const [base = "", length] = network.split("/");
  if (length === "32" || length === "128") {
    return base;
  }
  return base.includes(":")
    ? `${base.replace(/::$/, "")}::1`
    : base.replace(/\d+$/, (last) => `${Number(last) + 1}`);
};

const connect = async (
  [one, device]: readonly [Namespace, string],
  [other, otherDevice]: readonly [Namespace, string],
): Promise<void> => {
  await promisify(execFile)("ip", [
    ...["link", "add", device, "netns", `${one.pid}`, "type", "veth"],
    ...["peer", "name", otherDevice, "netns", `${other.pid}`],
  ]);
};

const batch = async (namespace: Namespace, commands: readonly string[]): Promise<void> => {
  await namespace.run(["ip", "-batch", "-"], { input: `${commands.join("\n")}\n` });
};
