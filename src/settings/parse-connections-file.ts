import { type Place, type Problem, placeText, quoted } from "../failure.ts";
import { nearest } from "../nearest.ts";
import { connectionKeys, gatewayKeys, keyOf, sameKey } from "./connection-keys.ts";
import type { Given } from "./environment.ts";
import { parseConnectionName } from "./values.ts";
import { isSecret } from "./variables.ts";
import { readYaml, type YamlEntry, type YamlValue } from "./yaml.ts";

/** What the file of `IPSEC_CONFIG_FILE` says, by the names of the variables. Of the values nothing is checked yet. */
export type ConnectionsFile = {
  readonly defaults: ReadonlyMap<string, Given>;
  readonly connections: readonly FileConnection[];
  readonly errors: readonly Problem[];
};

export type FileConnection = {
  readonly name: string;
  readonly place: Place;
  readonly given: ReadonlyMap<string, Given>;
};

export const parseConnectionsFile = (text: string, file: string): ConnectionsFile => {
  const errors: Problem[] = [];
  const complain: Complain = (place, message, hint) => {
    errors.push({ variable: "IPSEC_CONFIG_FILE", message: `${placeText(place)}: ${message}`, hint, place });
  };
  const { root, faults } = readYaml(text, file);
  for (const { place, fault } of faults) complain(place, `is not YAML: ${fault}`, formHint);
  if (faults.length > 0) return { defaults: new Map(), connections: [], errors };

  const parts = entriesIn(root, complain);
  for (const { key, value } of parts) {
    if (key !== "defaults" && key !== "connections")
      complain(value.place, `${quoted(key)} is not known`, formHint);
  }
  complainOfTwice(parts, complain);
  const defaults = parts.find(({ key }) => key === "defaults")?.value;
  const connections = parts.find(({ key }) => key === "connections")?.value;
  const named = connections === undefined ? [] : entriesIn(connections, complain);
  const place = connections?.place ?? root.place;
  if (named.length === 0) complain(place, "there is no connection", formHint);
  if (named.length > maximumConnections)
    complain(place, `there are ${named.length} connections`, `at most ${maximumConnections}`);
  complainOfTwice(named, complain);
  return {
    defaults: defaults === undefined ? new Map() : readGiven(defaults, complain),
    // Whatever is wrong in each of ten thousand need not be told of each.
    connections: named.flatMap((entry) =>
      errors.length > maximumErrors ? [] : [readConnection(entry, complain)],
    ),
    errors,
  };
};

type Complain = (place: Place, message: string, hint: string) => void;

const formHint =
  "for example connections: {berlin: {remoteip: 198.51.100.7, remotenet: 10.2.0.0/16, psk_file: /run/secrets/berlin}}";

/** More than one charon serves well, and few enough that aliases cannot make a file of bounded size grow without end. */
const maximumConnections = 10_000;

const maximumErrors = 200;

const entriesIn = (value: YamlValue, complain: Complain): readonly YamlEntry[] => {
  const entries = value.isEmpty ? [] : value.entries();
  if (entries === undefined) complain(value.place, "must be a map from keys to values", formHint);
  return entries ?? [];
};

const complainOfTwice = (entries: readonly YamlEntry[], complain: Complain): void => {
  const seen = new Set<string>();
  for (const { key, value } of entries) {
    if (seen.has(key)) complain(value.place, `${quoted(key)} is there twice`, "keep one of them");
    seen.add(key);
  }
};

const readConnection = ({ key, value }: YamlEntry, complain: Complain): FileConnection => {
  const name = parseConnectionName(key);
  if (!name.ok) complain(value.place, name.problem.message, name.problem.hint ?? formHint);
  return { name: name.ok ? key : quoted(key), place: value.place, given: readGiven(value, complain) };
};

const readGiven = (map: YamlValue, complain: Complain): ReadonlyMap<string, Given> => {
  const given = new Map<string, Given>();
  for (const { key, value } of entriesIn(map, complain)) {
    const { place } = value;
    const name = connectionKeys.get(sameKey(key));
    if (name === undefined) {
      complain(place, ...unknownKey(key));
      continue;
    }
    if (given.has(name))
      complain(place, `${keyOf(name)} is there twice`, "keep one of them, in whichever spelling");
    const text = textOf(value, name);
    if (text === undefined) complain(place, "must be a value", `for example ${key}: text`);
    else given.set(name, { text, source: place.file, place });
  }
  return given;
};

/** A list is what it would be in a variable. Nothing, `null` or `~` unset what was given before. */
const textOf = (value: YamlValue, name: string): string | undefined => {
  if (value.isEmpty) return "";
  return value.text() ?? (isSecret(name) ? undefined : value.texts()?.join(","));
};

const unknownKey = (key: string): [message: string, hint: string] => {
  const variable = gatewayKeys.get(sameKey(key));
  if (variable !== undefined)
    return [`${quoted(key)} concerns the whole gateway`, `set ${variable} in the environment`];
  if (sameKey(key) === "name")
    return ['"name" is not known', "a connection's name is its key below connections"];
  const meant = nearest(key, [...connectionKeys.values()].map(keyOf));
  return [
    `${quoted(key)} is not known`,
    meant === undefined
      ? "vnf-ipsec variables lists all that there is: without IPSEC_, in lower case"
      : `did you mean ${meant}?`,
  ];
};
