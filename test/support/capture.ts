import type { Namespace } from "./namespace.ts";
import { waitFor } from "./wait-for.ts";

export type Capture = {
  /** A line of tcpdump for each packet that went by before this call. */
  readonly packets: () => Promise<readonly string[]>;
  readonly waitForPacket: (pattern: RegExp, options?: { readonly timeoutMs?: number }) => Promise<string>;
  /** Ends the capture; fails if the kernel dropped packets, for then it is no witness. */
  readonly stop: () => Promise<readonly string[]>;
};

export type CaptureOptions = {
  /** `eth0` without it. */
  readonly device?: string;
  /** Only what this side sends. Without it what a kernel receives and decrypts is seen again, in clear. */
  readonly sentOnly?: boolean;
};

/** Captures what `filter` (pcap-filter(7)) accepts. Resolves when packets are seen. */
export const capture = async (
  namespace: Namespace,
  filter = "",
  { device = "eth0", sentOnly = false }: CaptureOptions = {},
): Promise<Capture> => {
  const tcpdump = namespace.spawn([
    "tcpdump",
    ...["-i", device, "-n", "-l", "--immediate-mode", "-B", "8192", "-Z", "root", "-s", "256"],
    [...(sentOnly ? [await sentBy(namespace, device)] : []), ...(filter === "" ? [] : [`(${filter})`])].join(
      " and ",
    ),
  ]);
  await tcpdump.waitForOutput(/listening on/);

  // SIGUSR1 makes it count. Packets that the kernel took and tcpdump has not yet printed are the difference.
  const drain = async (): Promise<readonly string[]> => {
    await waitFor("tcpdump to print what it received", async () => {
      const from = tcpdump.output().length;
      tcpdump.signal("SIGUSR1");
      const [, captured, received, dropped] = await tcpdump.waitForOutput(counts, { from });
      if (Number(dropped) > 0) {
        throw new Error(`${tcpdump.label}: the kernel dropped ${dropped} packets`);
      }
      return captured === received ? true : undefined;
    });
    return lines(tcpdump.stdout());
  };

  return {
    packets: drain,
    waitForPacket: async (pattern, options) => (await tcpdump.waitForOutput(wholeLine(pattern), options))[0],
    stop: async () => {
      const packets = await drain();
      tcpdump.signal("SIGINT");
      await tcpdump.exited;
      return packets;
    },
  };
};

/** Several captures as one, without an order between them. */
export const together = (captures: readonly Capture[]): Capture => ({
  packets: async () => (await Promise.all(captures.map((one) => one.packets()))).flat(),
  waitForPacket: (pattern, options) =>
    Promise.any(captures.map((one) => one.waitForPacket(pattern, options))),
  stop: async () => (await Promise.all(captures.map((one) => one.stop()))).flat(),
});

/**
 * Not pcap's `outbound`: the kernel counts but tcpdump does not print the first packet after the start (seen with
 * libpcap 1.10.3, which applies the filter again by itself then). Nor -Q, which counts what it discards.
 */
const sentBy = async (namespace: Namespace, device: string): Promise<string> =>
  `ether src ${(await namespace.run(["cat", `/sys/class/net/${device}/address`])).trim()}`;

const counts = /(\d+) packets? captured, (\d+) packets? received by filter, (\d+) packets? dropped by kernel/;

const wholeLine = (pattern: RegExp): RegExp => new RegExp(`^.*(?:${pattern.source}).*$`, "m");

const lines = (text: string): string[] =>
  text
    .split("\n")
    .slice(0, -1)
    .filter((line) => /^\d\d:/.test(line));
