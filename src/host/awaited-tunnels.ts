import type { Gateway } from "../gateway/gateway.ts";
import { overlaps, parseNetwork } from "../ipsec/network.ts";
import type { RunProgram } from "./run-program.ts";

/**
 * Names of the CHILD SAs that the kernel has asked a former daemon for, and therefore does not ask for again: its
 * larval state stands for the question and lasts for up to 165 s (net.core.xfrm_acq_expires; net/xfrm/xfrm_state.c,
 * xfrm_state_find). It has no SPI, so nobody can delete it.
 */
export const listAwaitedTunnels = async (
  { connections }: Pick<Gateway, "connections">,
  runProgram: RunProgram,
): Promise<readonly string[]> => {
  const children = connections.flatMap((connection) =>
    connection.children.filter(({ onTraffic }) => onTraffic),
  );
  if (children.length === 0) return [];
  const { stdout } = await runProgram(["ip", "xfrm", "state"]);
  const packets = larvalPackets(stdout);
  return children
    .filter(({ localNetworks, remoteNetworks }) =>
      packets.some(
        ({ source, destination }) =>
          localNetworks.some((network) => overlaps(network, source)) &&
          remoteNetworks.some((network) => overlaps(network, destination)),
      ),
    )
    .map(({ name }) => name);
};

/** The packets for which the kernel has asked, from the text of `ip xfrm state`. */
const larvalPackets = (text: string) =>
  text.split(/\n(?=\S)/).flatMap((entry) => {
    if (!/\bproto esp spi 0x0{8}\b/.test(entry)) return [];
    const [, from = "", to = ""] = /\bsel src (\S+) dst (\S+)/.exec(entry) ?? [];
    const [source, destination] = [parseNetwork(from), parseNetwork(to)];
    return source.ok && destination.ok
      ? [{ source: source.value.network, destination: destination.value.network }]
      : [];
  });
