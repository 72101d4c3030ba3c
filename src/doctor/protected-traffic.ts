import type { Gateway } from "../gateway/gateway.ts";
import { interfaceNames } from "../gateway/virtual-interface.ts";
import { type Network, parseNetwork } from "../ipsec/network.ts";
import type { GatewayStatus } from "../status/status-schema.ts";

/** Two networks, or parts of them, whose packets a tunnel takes. */
export type Pair = {
  readonly local: Network;
  readonly remote: Network;
  /** Name of the virtual interface that they pass, where there is one. */
  readonly virtual?: string;
};

/** By the variables; where the operator mounts the connections, by what the daemon has loaded. */
export const protectedPairs = (
  gateway: Pick<Gateway, "connections" | "virtualInterfaces"> | undefined,
  status: GatewayStatus | undefined,
): readonly Pair[] => {
  const interfaceName = interfaceNames(gateway?.virtualInterfaces ?? []);
  const planned = (gateway?.connections ?? []).flatMap(({ children }) =>
    children.flatMap((child) => pairs(child.localNetworks, child.remoteNetworks, interfaceName(child))),
  );
  if (planned.length > 0) return planned;
  return (status?.connections ?? []).flatMap(({ children }) =>
    children.flatMap(({ localNetworks, remoteNetworks, interface: virtual }) =>
      pairs(localNetworks.flatMap(networkOf), remoteNetworks.flatMap(networkOf), virtual),
    ),
  );
};

const pairs = (
  local: readonly Network[],
  remote: readonly Network[],
  virtual: string | undefined,
): readonly Pair[] =>
  local.flatMap((one) =>
    remote
      .filter(({ family }) => family === one.family)
      .map((other) => ({ local: one, remote: other, ...(virtual === undefined ? {} : { virtual }) })),
  );

/** charon also lists ranges, and networks with a protocol and ports behind. */
const networkOf = (text: string): readonly Network[] => {
  const network = parseNetwork(text);
  return network.ok ? [network.value.network] : [];
};
