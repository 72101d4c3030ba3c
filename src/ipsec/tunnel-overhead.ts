import type { AddressFamily } from "./address.ts";
import type { Proposal } from "./proposal.ts";
import { isCipher, isIntegrity } from "./proposal-rules.ts";

export type Encapsulation = {
  /** Family of the endpoints. */
  readonly outer: AddressFamily;
  /** ESP in UDP (RFC 3948). */
  readonly inUdp: boolean;
};

/**
 * Size of the largest inner packet whose ESP packet in tunnel mode fits a path of so many bytes, whichever of the
 * proposals is agreed on. ESP adds SPI and sequence number (8), the IV, padding to the cipher's block, the pad
 * length and next header (2) and the ICV (RFC 4303 §2); an outer IP header and perhaps UDP come around it.
 */
export const largestInnerPacket = (
  pathMtu: number,
  proposals: readonly Proposal[],
  encapsulation: Encapsulation,
): number => Math.min(...proposals.map((proposal) => largestFor(pathMtu, proposal, encapsulation)));

/** The largest TCP segments by the family of the packet around them. */
export type SegmentSizes = Readonly<Record<AddressFamily, number>>;

/** What of a packet of so many bytes is left to a TCP segment: less the headers of IP and TCP without options (RFC 6691 §2). */
export const segmentsIn = (packetBytes: number): SegmentSizes => ({
  ipv4: packetBytes - 40,
  ipv6: packetBytes - 60,
});

const largestFor = (pathMtu: number, { algorithms }: Proposal, { outer, inUdp }: Encapsulation): number => {
  const outside = (outer === "ipv4" ? 20 : 40) + (inUdp ? 8 : 0) + 8;
  const icvBytes = Math.max(0, ...algorithms.filter(isIntegrity).map((algorithm) => algorithm.icvBytes));
  return Math.min(
    ...algorithms.filter(isCipher).map((cipher) => {
      const icv = cipher.transform === "aead" ? cipher.icvBytes : icvBytes;
      const block = Math.max(4, cipher.blockBytes);
      const encrypted = pathMtu - outside - cipher.ivBytes - icv;
      return Math.floor(encrypted / block) * block - 2;
    }),
  );
};
