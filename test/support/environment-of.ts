import type { Environment, Given } from "../../src/settings/environment.ts";

/** Variables as a process would have them, all from the environment. */
export const environmentOf = (variables: Readonly<Record<string, string>>): Environment =>
  new Map<string, Given>(
    Object.entries(variables).map(([name, text]) => [name, { text, source: "the environment" }]),
  );

/** What a tunnel with pre-shared key must be told, and no more. */
export const minimal = {
  IPSEC_LOCALIP: "192.0.2.1",
  IPSEC_LOCALNET: "10.1.0.0/16",
  IPSEC_REMOTEIP: "192.0.2.2",
  IPSEC_REMOTENET: "10.2.0.0/16",
  IPSEC_PSK: "a long text that nobody guesses",
} as const;
