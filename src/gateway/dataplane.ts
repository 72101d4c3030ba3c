import { memoized } from "../memoized.ts";
import type { Connection, Gateway } from "./gateway.ts";

/** Where ESP is done: in Linux, or in the IKE daemon over a TUN device. */
export type Dataplane = "kernel" | "userspace";

/**
 * The gateway as it can be on that data plane. User-space ESP sees no packets before a tunnel is up
 * (strongSwan's kernel-libipsec raises no acquires), so what waits for traffic comes up at once there.
 */
export const onDataplane = (gateway: Gateway, dataplane: Dataplane): Gateway => {
  if (dataplane === "kernel") return gateway;
  return { ...gateway, connections: gateway.connections.map(inUserspace) };
};

const inUserspace = memoized(
  (connection: Connection): Connection => ({
    ...connection,
    children: connection.children.map((child) => ({
      ...child,
      onTraffic: false,
      atOnce: child.atOnce || child.onTraffic,
    })),
  }),
);
