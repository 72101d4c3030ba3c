import type { Site } from "../../support/site.ts";

/** Sees what a site sends to protected networks without ESP around it. */
export type ClearTextWitness = {
  /** Resolves with the first packet in clear, so that it is proven to see them. */
  readonly seesSome: () => Promise<string>;
  /** Ends the watch; resolves with the packets that were sent between these two moments, in milliseconds of the epoch. */
  readonly stop: (since: number, until: number) => Promise<readonly string[]>;
};

export const watchForClearText = async (
  site: Site,
  networks: readonly string[],
): Promise<ClearTextWitness> => {
  const filter = networks.map((network) => `dst net ${network}`).join(" or ");
  const capture = await site.capture(filter, { sentOnly: true });
  return {
    seesSome: () => capture.waitForPacket(/ICMP echo request/),
    stop: async (since, until) => {
      if (!(since < until)) throw new Error(`nothing is between ${since} and ${until}`);
      const packets = await capture.stop();
      return packets.filter((packet) => sentAt(packet) >= since && sentAt(packet) < until);
    },
  };
};

/** tcpdump tells the local time of day only; a packet of the future was sent yesterday. */
const sentAt = (packet: string): number => {
  const [, hours, minutes, seconds, milliseconds] = /^(\d+):(\d+):(\d+)\.(\d{3})/.exec(packet) ?? [];
  const time = new Date();
  time.setHours(Number(hours), Number(minutes), Number(seconds), Number(milliseconds));
  return time.getTime() > Date.now() ? time.getTime() - 86_400_000 : time.getTime();
};
