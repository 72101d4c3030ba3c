import { readFileSync } from "node:fs";

/** Prints a line; `met` is whether the bar in it was kept, where it has one. */
export type Report = (what: string, figures: string, met?: boolean) => void;

/** In MiB, private and proportional (proc(5), smaps_rollup). */
export const memoryOf = (pid: number): { readonly private: number; readonly proportional: number } => {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
  const kilobytes = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(rollup)?.[1] ?? 0);
  return {
    private: (kilobytes("Private_Clean") + kilobytes("Private_Dirty")) / 1024,
    proportional: kilobytes("Pss") / 1024,
  };
};

export const median = (values: readonly number[]): number => {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.floor(sorted.length / 2)] as number;
};

export const milliseconds = (value: number): string => `${value.toFixed(value < 10 ? 1 : 0)} ms`;
