/** What became of packets of one size that may not be fragmented. */
export type ProbeAnswer =
  | { readonly kind: "answered" }
  /** Somebody on the way said that it is too long, perhaps with the size that is not. */
  | { readonly kind: "refused"; readonly mtu?: number }
  | { readonly kind: "lost" };

export type Sweep = {
  /** In bytes, IP header included; absent when not even the smallest was answered. */
  readonly largest?: number;
  /** How the next larger one ended; absent when there was none to try. */
  readonly beyond?: "refused" | "lost";
  readonly probes: number;
  /** Whether every size in between is accounted for, rather than the time over. */
  readonly complete: boolean;
};

/** Finds by bisection the largest packet from `lowest` to `highest` bytes that is answered. */
export const sweepMtu = async (
  probe: (size: number) => Promise<ProbeAnswer>,
  {
    lowest,
    highest,
    isLate,
  }: { readonly lowest: number; readonly highest: number; readonly isLate: () => boolean },
): Promise<Sweep> => {
  let probes = 0;
  const ask = (size: number): Promise<ProbeAnswer> => {
    probes += 1;
    return probe(size);
  };
  if ((await ask(lowest)).kind !== "answered") return { probes, complete: true };
  let good = lowest;
  let bad = highest + 1;
  let beyond: Sweep["beyond"];
  let next = highest;
  while (good + 1 < bad) {
    if (isLate())
      return { largest: good, ...(beyond === undefined ? {} : { beyond }), probes, complete: false };
    const size = next;
    const answer = await ask(size);
    if (answer.kind === "answered") good = size;
    else {
      bad = size;
      beyond = answer.kind;
    }
    const told = answer.kind === "refused" ? answer.mtu : undefined;
    next = told !== undefined && told > good && told < bad ? told : Math.floor((good + bad) / 2);
  }
  return { largest: good, ...(beyond === undefined ? {} : { beyond }), probes, complete: true };
};
