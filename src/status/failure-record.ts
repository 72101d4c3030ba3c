import type { Diagnostician, Finding } from "../observe/diagnostician.ts";
import type { Observed } from "./build-status.ts";

/** Since when failures last, and how often they began. */
export type FailureRecord = {
  readonly note: (finding: Finding) => void;
  readonly lasting: () => Observed["failures"];
  readonly counts: () => Observed["failureCounts"];
};

export const createFailureRecord = (diagnostician: Diagnostician): FailureRecord => {
  const startedAt = Date.now();
  const since = new WeakMap<Finding, number>();
  // A name that does not resolve is found before its connection is known, and is another finding from then on.
  const causesSince = new Map<Finding["cause"], number>();
  const counts = new Map<string, { readonly finding: Finding; count: number }>();
  return {
    note: (finding) => {
      since.set(finding, Date.now());
      causesSince.set(finding.cause, Date.now());
      const { connection, peer = "", ...anonymous } = finding;
      const ofPeer = `${finding.cause} ${connection ?? peer}`;
      const isKept = counts.has(ofPeer) || counts.size < countsKept;
      const key = isKept ? ofPeer : finding.cause;
      const counted = counts.get(key) ?? { finding: isKept ? finding : anonymous, count: 0 };
      counted.count += 1;
      counts.set(key, counted);
    },
    lasting: () =>
      diagnostician.active().map((finding) => ({
        finding,
        since: since.get(finding) ?? causesSince.get(finding.cause) ?? startedAt,
      })),
    counts: () => [...counts.values()],
  };
};

/** Anyone on the network can fail at our port; what is beyond is counted by cause alone. */
const countsKept = 1024;
