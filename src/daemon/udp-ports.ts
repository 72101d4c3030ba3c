import { readFileSync } from "node:fs";

/**
 * UDP ports of this network namespace that are bound, over IPv4 or IPv6.
 * /proc/net/udp writes `address:port` in hexadecimal (proc(5)).
 */
export const boundUdpPorts = (): ReadonlySet<number> => {
  const ports = new Set<number>();
  for (const path of ["/proc/net/udp", "/proc/net/udp6"]) {
    for (const port of portsIn(readIfPresent(path))) ports.add(port);
  }
  return ports;
};

/** IKE itself, and IKE and ESP through NAT (RFC 3948). */
export const ikePorts = [500, 4500] as const;

const portsIn = (table: string): readonly number[] =>
  table
    .split("\n")
    .slice(1)
    .flatMap((line) => {
      const port = /^\s*\d+:\s+[0-9A-F]+:([0-9A-F]{4})\s/.exec(line)?.[1];
      return port === undefined ? [] : [Number.parseInt(port, 16)];
    });

const readIfPresent = (path: string): string => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    // A kernel without IPv6 has no /proc/net/udp6.
    return "";
  }
};
