import { readFileSync } from "node:fs";
import type { Problem } from "../failure.ts";

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
 * mends it. They belong to the host, so nothing is changed here. See the kernel's ip-sysctl documentation.
 */
export const checkHost = (sysctl: (name: string) => string | undefined): readonly Problem[] =>
  checks.flatMap(({ name, bad, message, good }) =>
    sysctl(name) === bad ? [{ message: `${dotted(name)}=${bad}: ${message}`, hint: remedy(name, good) }] : [],
  );

const checks = [
  {
    name: "net/ipv4/ip_forward",
    bad: "0",
    good: "1",
    message: "this host forwards no packets between the tunnel and its networks",
  },
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
] as const;

const dotted = (name: string): string => name.replaceAll("/", ".");

const remedy = (name: string, value: string): string =>
  `sysctl -w ${dotted(name)}=${value} on the host, or --sysctl ${dotted(name)}=${value} for a container with a network of its own`;
