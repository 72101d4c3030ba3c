import { readFileSync } from "node:fs";
import type { Problem } from "../failure.ts";
import type { AddressFamily } from "../ipsec/address.ts";

/** Reads a setting below /proc/sys by its name with slashes; undefined where the kernel has none. */
export const readSysctl = (name: string): string | undefined => {
  try {
    return readFileSync(`/proc/sys/${name}`, "utf8").trim();
  } catch {
    return undefined;
  }
};

/**
 * Settings of the host with which a gateway runs and its packets are lost all the same, each with the command that
 * mends it; those of the families that the protected networks have, IPv4 where they are not known. They belong to the
 * host, so nothing is changed here. See the kernel's ip-sysctl documentation.
 */
export const checkHost = (
  sysctl: (name: string) => string | undefined,
  families: ReadonlySet<AddressFamily>,
): readonly Problem[] =>
  (["ipv4", "ipv6"] as const)
    .filter((family) => (families.size === 0 ? family === "ipv4" : families.has(family)))
    .flatMap((family) => checks[family])
    .flatMap((check) => (sysctl(check.name) === check.bad ? [problemOf(check)] : []));

type Check = {
  readonly name: string;
  readonly bad: string;
  readonly good: string;
  readonly message: string;
  /** What else it takes. */
  readonly besides?: string;
};

const forwarding = "this host forwards no packets between the tunnel and its networks";

const checks: Readonly<Record<AddressFamily, readonly Check[]>> = {
  ipv4: [
    { name: "net/ipv4/ip_forward", bad: "0", good: "1", message: forwarding },
    {
      name: "net/ipv4/conf/all/rp_filter",
      bad: "1",
      good: "2",
      message: "packets from the peer's networks are dropped where the way back to them is another interface",
    },
    {
      name: "net/ipv4/conf/all/send_redirects",
      bad: "1",
      good: "0",
      message: "hosts in the local network may be told to go around this gateway (ICMP redirects)",
    },
  ],
  ipv6: [
    {
      name: "net/ipv6/conf/all/disable_ipv6",
      bad: "1",
      good: "0",
      message: "this host has no IPv6, which protected networks need",
    },
    {
      name: "net/ipv6/conf/all/forwarding",
      bad: "0",
      good: "1",
      message: forwarding,
      besides:
        "a host that forwards takes no default route from router advertisements any more, unless accept_ra of that interface is 2",
    },
  ],
};

const problemOf = ({ name, bad, good, message, besides }: Check): Problem => ({
  message: `${dotted(name)}=${bad}: ${message}`,
  hint: `${remedy(name, good)}${besides === undefined ? "" : `; ${besides}`}`,
});

const dotted = (name: string): string => name.replaceAll("/", ".");

const remedy = (name: string, value: string): string =>
  `sysctl -w ${dotted(name)}=${value} on the host, or --sysctl ${dotted(name)}=${value} for a container with a network of its own`;
