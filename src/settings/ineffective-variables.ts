import { type Problem, quoted } from "../failure.ts";
import { nearest } from "../nearest.ts";
import { ownSecretNames } from "./connection-keys.ts";
import type { ConnectionEnvironment, Environment } from "./environment.ts";
import { isUnset } from "./parse-variable.ts";
import { valueFileNames, variableNames } from "./variables.ts";

/** Warnings of what is given and has no effect. */
export const ineffectiveVariables = (
  environment: Environment,
  connections: readonly ConnectionEnvironment[] | undefined,
): readonly Problem[] => [
  ...unknownVariables(environment, connections ?? []),
  ...(connections === undefined || isUnset(environment.get("IPSEC_NAME")) ? [] : [nameInVain]),
];

const unknownVariables = (
  environment: Environment,
  connections: readonly ConnectionEnvironment[],
): readonly Problem[] => {
  const general: readonly string[] = [...variableNames, ...valueFileNames];
  const others = [...environment.keys()].filter(
    (name) => name.startsWith("IPSEC_") && !general.includes(name),
  );
  if (others.length === 0) return [];
  const ofConnections = new Set(connections.flatMap(({ name }) => ownSecretNames(name)));
  return others
    .filter((name) => !ofConnections.has(name))
    .map((name) => {
      const meant = nearest(name, [...general, ...ofConnections]);
      const message = `${quoted(name)} is not a variable of this gateway and has no effect`;
      return meant === undefined
        ? { variable: name, message, hint: "vnf-ipsec variables lists them all" }
        : { variable: name, message, hint: `did you mean ${meant}?` };
    });
};

const nameInVain: Problem = {
  variable: "IPSEC_NAME, IPSEC_CONFIG_FILE",
  message: "IPSEC_NAME has no effect beside IPSEC_CONFIG_FILE",
  hint: "the name of a connection there is its key",
};
