import type { Argv } from "../host/step.ts";

/** Becomes starter, which starts charon and loads ipsec.conf(5) into it; `ipsec` is the same on every distribution. */
export const daemonCommand: Argv = ["ipsec", "start", "--nofork"];
