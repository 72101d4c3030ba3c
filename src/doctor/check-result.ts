import { Failure, type Problem } from "../failure.ts";

/** Every check, in the order in which its results are shown. Stable: scripts and the documentation name them. */
export const checkNames = [
  "settings",
  "capabilities",
  "programs",
  "includes",
  "dataplane",
  "sysctls",
  "clock",
  "ports",
  "peer-name",
  "local-address",
  "route",
  "firewall",
  "forwarding",
  "address-translation",
  "virtual-interface",
  "host-routes",
  "files",
  "gateway",
  "credentials",
  "diagnosis",
  "tunnel",
  "rekey",
  "mtu",
] as const;

export type CheckName = (typeof checkNames)[number];

/** `skipped` is what could not be looked at; its message says why. */
export type CheckVerdict = "ok" | "warning" | "failure" | "skipped";

/** What a check found out; a check with several findings has several results. */
export type CheckResult = {
  readonly name: CheckName;
  readonly verdict: CheckVerdict;
  /** One line, lower case, no full stop. */
  readonly message: string;
  /** What to do: a command or a variable. */
  readonly hint?: string;
  /** Values behind the message, for machines and helpers. */
  readonly details?: Readonly<Record<string, unknown>>;
};

export const result = (
  name: CheckName,
  verdict: CheckVerdict,
  message: string,
  more: { readonly hint?: string | undefined; readonly details?: CheckResult["details"] | undefined } = {},
): CheckResult => ({
  name,
  verdict,
  message,
  ...(more.hint === undefined ? {} : { hint: more.hint }),
  ...(more.details === undefined ? {} : { details: more.details }),
});

export const ofProblems = (
  name: CheckName,
  verdict: "warning" | "failure",
  problems: readonly Problem[],
): readonly CheckResult[] =>
  problems.map(({ variable, message, hint }) =>
    result(name, verdict, message, { hint, ...(variable === undefined ? {} : { details: { variable } }) }),
  );

/** What a check finds, and what a step of `run` would refuse on the way; what is no `Failure` is our bug. */
export const attempted = async (
  name: CheckName,
  attempt: () => readonly CheckResult[] | Promise<readonly CheckResult[]>,
): Promise<readonly CheckResult[]> => {
  try {
    return await attempt();
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return ofProblems(name, "failure", error.problems);
  }
};
