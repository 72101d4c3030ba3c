/** What lines of tcpdump are, by what they show of a packet. */
export type WireReport = {
  readonly ike: readonly string[];
  /** ESP in UDP (RFC 3948). */
  readonly esp: readonly string[];
  /** Neither: whatever left a site in clear. */
  readonly clear: readonly string[];
};

export const classifyPackets = (lines: readonly string[]): WireReport => {
  const isEsp = (line: string) => /: UDP-encap: ESP\(/.test(line);
  const isIke = (line: string) => /: (?:NONESP-encap: )?isakmp(?:-nat-keep-alive|:)/.test(line);
  return {
    ike: lines.filter(isIke),
    esp: lines.filter(isEsp),
    clear: lines.filter((line) => !isEsp(line) && !isIke(line)),
  };
};

/** A line of tcpdump without its time and the length at its end. */
export const shortened = (line: string): string =>
  line.replace(/^\S+ (?:IP )?/, "").replace(/, length \d+.*$/, "");
