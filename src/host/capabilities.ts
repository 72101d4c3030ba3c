import { readFileSync } from "node:fs";
import { exitCodes, Failure, type Problem } from "../failure.ts";

/** Bits of capabilities(7) that the commands cannot do without. */
const known = [
  { name: "NET_ADMIN", bit: 12n, why: "to install IPsec policies and routes" },
  { name: "NET_BIND_SERVICE", bit: 10n, why: "to bind UDP port 500" },
] as const;

export type Capability = (typeof known)[number]["name"];

/** Throws when this process lacks one of them. */
export const requireCapabilities = (needed: readonly Capability[]): void => {
  const problems = missingCapabilities(readFileSync("/proc/self/status", "utf8"), needed);
  if (problems.length > 0) throw new Failure(problems, exitCodes.permission);
};

/** What is missing according to the text of /proc/self/status (proc(5)). */
export const missingCapabilities = (status: string, needed: readonly Capability[]): readonly Problem[] => {
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? "0"}`);
  return known
    .filter(({ name, bit }) => needed.includes(name) && (effective & (1n << bit)) === 0n)
    .map(({ name, why }) => ({
      message: `the capability ${name} is missing, ${why}`,
      hint: `run as root with --cap-add ${name}, or --privileged`,
    }));
};
