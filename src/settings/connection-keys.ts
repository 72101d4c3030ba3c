import { definitionOf, valueFileNames, variableNames } from "./variables.ts";

/** How a file of connections writes a variable: without `IPSEC_`, in lower case. */
export const keyOf = (variable: string): string => variable.replace(/^IPSEC_/, "").toLowerCase();

/** Two spellings of one key, such as `psk_file` and `pskFile`, are the same here. */
export const sameKey = (key: string): string => key.toLowerCase().replaceAll("_", "");

const keysFor = (names: readonly string[]): ReadonlyMap<string, string> =>
  new Map(names.map((name) => [sameKey(keyOf(name)), name]));

/** What a connection may say, by `sameKey`. */
export const connectionKeys = keysFor([
  ...variableNames.filter((name) => definitionOf(name).scope === undefined && name !== "IPSEC_NAME"),
  ...valueFileNames,
]);

/** What only the environment may say. */
export const gatewayKeys = keysFor(variableNames.filter((name) => definitionOf(name).scope === "gateway"));

/** The environment's name of a connection's own secret, or of its file: `IPSEC_BERLIN_PSK`, `IPSEC_BERLIN_PSK_FILE`. */
export const ownSecretName = (connection: string, variable: string): string =>
  variable.replace(/^IPSEC_/, `IPSEC_${connection.toUpperCase().replaceAll("-", "_")}_`);

export const secretNames: readonly string[] = valueFileNames.flatMap((fileName) => [
  fileName.slice(0, -"_FILE".length),
  fileName,
]);

export const ownSecretNames = (connection: string): readonly string[] =>
  secretNames.map((name) => ownSecretName(connection, name));
