import { quoted } from "../failure.ts";
import { connectionKeys, ownSecretName, secretNames } from "../settings/connection-keys.ts";
import {
  type ConnectionEnvironment,
  type Environment,
  type Given,
  labelOf,
} from "../settings/environment.ts";
import { type FileConnection, parseConnectionsFile } from "../settings/parse-connections-file.ts";
import { valueFileNames, variableNames } from "../settings/variables.ts";
import type { FileReader } from "./file-reader.ts";
import { readSecretFiles } from "./read-secret-files.ts";

/**
 * Reads the file of connections, and gives each all that it is given: from its own keys, from secrets of its name
 * (`IPSEC_BERLIN_PSK_FILE`), from `defaults`, and from the environment, in this order.
 * What is wrong with the file is kept by the reader.
 */
export const readConnections = (
  path: string,
  environment: Environment,
  reader: FileReader,
  { withSecrets }: { readonly withSecrets: boolean },
): readonly ConnectionEnvironment[] => {
  const content = reader.read("IPSEC_CONFIG_FILE", path);
  const text = content && decode(content);
  if (content !== undefined && text === undefined) {
    reader.complain({
      variable: "IPSEC_CONFIG_FILE",
      message: `IPSEC_CONFIG_FILE=${quoted(path)} is not UTF-8`,
      hint: "save it as UTF-8; a key of other bytes goes into a file of its own (psk_file), or as 0x or 0s",
    });
  }
  if (text === undefined) return [];
  const { defaults, connections, errors } = parseConnectionsFile(text, path);
  reader.errors.push(...errors);
  const common = new Map([...environment].filter(([name]) => ofConnections.has(name)));
  layOver(common, defaults);
  if (withSecrets) readSecretFiles(defaults, common, reader);
  const mayNameOne = [...environment.keys()].some((name) => /^IPSEC_.+_/.test(name) && !general.has(name));
  return connections.map((connection) => {
    const own = new Map(common);
    const given = mayNameOne ? withOwnSecrets(connection, environment, reader) : connection.given;
    layOver(own, given);
    if (withSecrets) readSecretFiles(given, own, reader);
    return { name: connection.name, place: connection.place, environment: own };
  });
};

const general: ReadonlySet<string> = new Set([...variableNames, ...valueFileNames]);

const ofConnections: ReadonlySet<string> = new Set(connectionKeys.values());

/** Undefined where bytes are not UTF-8 and would be changed. */
const decode = (bytes: Buffer): string | undefined => {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
};

/** What is empty unsets what was given before; a secret in either form replaces it in both. */
const layOver = (environment: Map<string, Given>, given: ReadonlyMap<string, Given>): void => {
  for (const [name, value] of given) {
    for (const fileName of valueFileNames) {
      if (name !== fileName && `${name}_FILE` !== fileName) continue;
      environment.delete(fileName);
      environment.delete(fileName.slice(0, -"_FILE".length));
    }
    if (value.text.trim() !== "") environment.set(name, value);
  }
};

/** What a connection is given by its keys, and by secrets in the environment that have its name. */
const withOwnSecrets = (
  { name: connection, given, place }: FileConnection,
  environment: Environment,
  reader: FileReader,
): ReadonlyMap<string, Given> => {
  const all = new Map(given);
  for (const name of secretNames) {
    const ownName = ownSecretName(connection, name);
    const own = environment.get(ownName);
    if (own === undefined) continue;
    const other = given.get(name);
    if (other === undefined) all.set(name, { ...own, name: ownName });
    else
      reader.complain({
        variable: ownName,
        message: `${labelOf(other, name)} and ${ownName} are both set`,
        hint: "keep one of them",
        named: { ...other, place },
      });
  }
  return all;
};
