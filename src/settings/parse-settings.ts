import { type Problem, placeText } from "../failure.ts";
import { memoized } from "../memoized.ts";
import { authenticationOf } from "./authentication.ts";
import { crossChecks } from "./cross-checks.ts";
import { crossConnectionChecks } from "./cross-connection-checks.ts";
import {
  type ConnectionEnvironment,
  type Environment,
  type Given,
  nameOf,
  unwrapped,
} from "./environment.ts";
import { localIdentity, remoteIdentity } from "./identities.ts";
import { ineffectiveVariables } from "./ineffective-variables.ts";
import { isUnset, type ParsedVariable, parseVariable, quotesTakenOff } from "./parse-variable.ts";
import type { ConnectionSettings, GatewayValues, Purpose, Settings, Values } from "./settings.ts";
import {
  createSettingsMemory,
  type ParsedConnection,
  type Problems,
  type SettingsMemory,
} from "./settings-memory.ts";
import { definitionOf, type VariableName, valueFileNames, variableNames } from "./variables.ts";

export type ParsedSettings = {
  /** Absent when there is an error, or a file could not be read, which its reader has told. */
  readonly settings?: Settings;
  readonly errors: readonly Problem[];
  readonly warnings: readonly Problem[];
};

type Occasion = {
  /** What the last reading came to. */
  readonly memory?: SettingsMemory;
  /** What certificates are judged by, where they are read anew. */
  readonly now?: Date;
};

/**
 * Checks an environment, and the connections of a file if there is one: each variable alone, then what concerns
 * several, then what concerns several connections. Every problem is returned at once.
 */
export const parseSettings = (
  environment: Environment,
  purpose: Purpose,
  connections?: readonly ConnectionEnvironment[],
  { memory = createSettingsMemory(), now = new Date() }: Occasion = {},
): ParsedSettings => {
  const parse = parseOnce();
  const names = variableNames.filter((name) => isUsed(name, purpose));
  const ofEach = connections === undefined ? [] : names.filter(isOfConnection);
  const common = parseNames(
    names.filter((name) => !ofEach.includes(name)),
    environment,
    parse,
  );
  const problems: Problems[] = [
    { errors: [], warnings: ineffectiveVariables(environment, connections) },
    common,
    { errors: [], warnings: quotedFileNames(environment, purpose) },
  ];
  const recall = memory.beginning(environment);
  const tunnels = (connections ?? [{ environment }]).map((connection) => {
    const parsed = recall(connection, () => {
      const own = parseNames(ofEach, connection.environment, parse, common.values);
      return checkConnection(connection, common, own, { purpose, now });
    });
    problems.push(parsed);
    return { ...connection, values: parsed.values };
  });
  const named = tunnels.flatMap((tunnel) => ("place" in tunnel ? [tunnel] : []));
  problems.push(crossConnectionChecks(named, purpose));

  // What many connections have in common is checked once, so its problems are the same objects.
  const errors = [...new Set(problems.flatMap((each) => each.errors))];
  const warnings = [...new Set(problems.flatMap((each) => each.warnings))];
  const given = connections?.map((one) => one.environment) ?? [environment];
  if (errors.length > 0 || given.some(lacksFile)) return { errors, warnings };
  const gateway = common.values as GatewayValues;
  const values = tunnels.map((tunnel) => tunnel.values);
  const isRendered = purpose === "gateway" && !gateway.IPSEC_USE_MANUAL_CONFIG;
  const settings = { gateway, tunnels: values, connections: isRendered ? values.map(completed) : [] };
  return { settings, errors, warnings };
};

const lacksFile = (environment: Environment): boolean =>
  environment.values().some((given) => given.isUnreadable === true);

type ParsedNames = Problems & { readonly values: Partial<Record<VariableName, unknown>> };

type ParseVariable = (name: VariableName, given: Given | undefined) => ParsedVariable;

/** What a thousand connections inherit need not be parsed a thousand times. */
const parseOnce = (): ParseVariable => {
  const done = new Map<Given | VariableName, ParsedVariable>();
  return (name, given) => {
    const known = done.get(given ?? name) ?? parseVariable(name, given);
    done.set(given ?? name, known);
    return known;
  };
};

const parseNames = (
  names: readonly VariableName[],
  environment: Environment,
  parse: ParseVariable,
  inherited: ParsedNames["values"] = {},
): ParsedNames => {
  const values: Partial<Record<VariableName, unknown>> = { ...inherited };
  const errors: Problem[] = [];
  const warnings: Problem[] = [];
  for (const name of names) {
    const parsed = parse(name, environment.get(name));
    if (parsed.value !== undefined) values[name] = parsed.value;
    errors.push(...parsed.errors);
    warnings.push(...parsed.warnings);
  }
  return { values, errors, warnings };
};

/** One of a file, whose problems tell where it stands; or what the environment itself describes. */
const checkConnection = (
  connection: { readonly environment: Environment } | ConnectionEnvironment,
  common: ParsedNames,
  own: ParsedNames,
  occasion: { readonly purpose: Purpose; readonly now: Date },
): ParsedConnection => {
  const { environment } = connection;
  const isOfFile = "place" in connection;
  // An absent value with a default can only be one that failed its check: errors is not empty then.
  const values = (isOfFile ? { ...own.values, IPSEC_NAME: connection.name } : own.values) as Values;
  const failed = new Set([...common.errors, ...own.errors].map((problem) => problem.variable));
  const crossed = crossChecks(values, {
    isGiven: (name) => !isUnset(environment.get(name)),
    ...occasion,
    hasFailed: (name) => failed.has(name),
    nameOf: (name) => nameOf(environment.get(name), name),
  });
  const located = (problem: Problem): Problem =>
    isOfFile
      ? { ...problem, message: `${placeText(connection.place)}: ${problem.message}`, place: connection.place }
      : problem;
  return {
    values,
    errors: [...own.errors, ...crossed.errors.map(located)],
    warnings: [...own.warnings, ...crossed.warnings.map(located)],
  };
};

const isOfConnection = (name: VariableName): boolean =>
  definitionOf(name).scope === undefined && name !== "IPSEC_NAME";

const usedByInit: ReadonlySet<VariableName> = new Set([
  "ENVFILE",
  "IPSEC_NAME",
  "IPSEC_LOCALIP",
  "IPSEC_REMOTEIP",
  "IPSEC_ESPCIPHER",
  "IPSEC_FORCEUDP",
  "IPSEC_MTU",
  "IPSEC_VTI_KEY",
  "IPSEC_VTI_STATICROUTES",
  "IPSEC_VTI_IPADDR_LOCAL",
  "IPSEC_VTI_IPADDR_PEER",
  "IPSEC_XFRM_IF_ID",
  "IPSEC_XFRM_STATICROUTES",
  "IPSEC_XFRM_IPADDR_LOCAL",
  "IPSEC_XFRM_IPADDR_PEER",
  "DEBUG",
  "LOG_LEVEL",
  "LOG_FORMAT",
] satisfies VariableName[]);

const isUsed = (name: VariableName, purpose: Purpose): boolean =>
  purpose === "gateway" || usedByInit.has(name);

/** Of the variables that name the files of secrets, which are read before they are checked. */
const quotedFileNames = (environment: Environment, purpose: Purpose): readonly Problem[] =>
  valueFileNames
    .filter((name) => purpose === "gateway" && unwrapped(environment.get(name)?.text ?? "").hadQuotes)
    .map((name) => quotesTakenOff(name, name));

/** Fills in what other variables decide; the cross checks have made sure that all of it can be had. */
const completed = memoized(
  (values: Values): ConnectionSettings =>
    ({
      ...values,
      IPSEC_LOCALID: localIdentity(values),
      IPSEC_REMOTEID: remoteIdentity(values),
      authentication: authenticationOf(values),
    }) as ConnectionSettings,
);
