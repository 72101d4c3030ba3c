import { parseCharonLine } from "../observe/charon-line.ts";
import type { Diagnostician } from "../observe/diagnostician.ts";
import { charonRecord, type Log } from "../observe/log.ts";
import type { Monitor } from "../status/monitor.ts";

export type DaemonLines = {
  /** Takes in a line of charon's: it is logged, judged, and remembered for a while. */
  readonly take: (text: string) => void;
  /** The last dozen, for when charon will not stay up. */
  readonly last: () => readonly string[];
};

export const createDaemonLines = (log: Log, diagnostician: Diagnostician, monitor: Monitor): DaemonLines => {
  const last: string[] = [];
  return {
    take: (text) => {
      const line = parseCharonLine(text);
      const finding = diagnostician.observe(line);
      monitor.note(line, finding);
      const { level, fields, message } = charonRecord(line, finding);
      log[level](fields, message);
      last.push(message);
      if (last.length > lastKept) last.shift();
    },
    last: () => last,
  };
};

const lastKept = 12;
