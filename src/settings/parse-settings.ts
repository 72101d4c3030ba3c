import { type Problem, quoted } from "../failure.ts";
import { identityOfEndpoint } from "../ipsec/identity.ts";
import { nearest } from "../nearest.ts";
import { crossChecks } from "./cross-checks.ts";
import { type Environment, type Given, unwrapped } from "./environment.ts";
import type { ConnectionSettings, Purpose, Settings, Values } from "./settings.ts";
import { parsePreSharedKey } from "./values.ts";
import { definitionOf, secretFileNames, type VariableName, variableNames } from "./variables.ts";

export type ParsedSettings = {
  /** Absent when there is an error. */
  readonly settings?: Settings;
  readonly errors: readonly Problem[];
  readonly warnings: readonly Problem[];
};

/** Checks an environment: each variable alone, then what concerns several. Every problem is returned at once. */
export const parseSettings = (environment: Environment, purpose: Purpose): ParsedSettings => {
  const errors: Problem[] = [];
  const warnings: Problem[] = [...unknownVariables(environment)];
  const given: Partial<Record<VariableName, unknown>> = {};
  for (const name of variableNames) {
    if (!isUsed(name, purpose)) continue;
    const checked = parseVariable(name, environment.get(name));
    errors.push(...checked.errors);
    warnings.push(...checked.warnings);
    if (checked.value !== undefined) given[name] = checked.value;
  }
  for (const name of secretFileNames) {
    if (purpose === "gateway" && unwrapped(environment.get(name)?.text ?? "").hadQuotes)
      warnings.push(quotesTakenOff(name));
  }
  const isGiven = (name: VariableName): boolean => !isUnset(environment.get(name));
  // An absent value with a default can only be one that failed its check: errors is not empty then.
  const values = given as Values;
  const failed = new Set(errors.map((problem) => problem.variable));
  const crossed = crossChecks(values, { isGiven, purpose, hasFailed: (name) => failed.has(name) });
  errors.push(...crossed.errors);
  warnings.push(...crossed.warnings);
  if (errors.length > 0) return { errors, warnings };
  const connections = purpose === "init" || values.IPSEC_USE_MANUAL_CONFIG ? [] : [completed(values)];
  return { settings: { gateway: values, tunnels: [values], connections }, errors, warnings };
};

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

const parseVariable = (
  name: VariableName,
  given: Given | undefined,
): { value?: unknown; errors: Problem[]; warnings: Problem[] } => {
  const definition = definitionOf(name);
  const errors: Problem[] = [];
  const warnings: Problem[] = [];
  const { text, hadQuotes } = unwrapped(given?.text ?? "");
  if (hadQuotes) warnings.push(quotesTakenOff(name));
  if (isUnset(given)) {
    if (definition.default === undefined) return { errors, warnings };
    return { ...parseVariable(name, { text: definition.default, source: "default" }), warnings };
  }
  const attribute = (problem: Problem): Problem => ({
    ...problem,
    variable: name,
    message: `${name}: ${problem.message}`,
  });
  if (given?.isUnreadable) return { errors, warnings };
  if (given?.bytes !== undefined) {
    const parsed = parsePreSharedKey(given.bytes);
    warnings.push(...parsed.warnings.map(attribute));
    if (parsed.ok) return { value: parsed.value, errors, warnings };
    return { errors: parsed.problems.map(attribute), warnings };
  }
  if (definition.secret && text.includes("\ufffd")) return { errors: [attribute(notUtf8(name))], warnings };
  const parsed = definition.schema.safeParse(text);
  if (parsed.success) {
    warnings.push(...parsed.data.warnings.map(attribute));
    return { value: parsed.data.value, errors, warnings };
  }
  for (const issue of parsed.error.issues) {
    const hint: unknown = issue.code === "custom" ? issue.params?.["hint"] : undefined;
    errors.push(
      attribute(typeof hint === "string" ? { message: issue.message, hint } : { message: issue.message }),
    );
  }
  return { errors, warnings };
};

/** Node reads environments and files of variables as UTF-8, and bytes that are none as U+FFFD: the key would be another. */
const notUtf8 = (name: VariableName): Problem => ({
  message: "has bytes that are not UTF-8 and would be changed",
  hint: `give it in a file that ${name}_FILE names, or as 0x and hexadecimal digits, or as 0s and base64`,
});

/** Nothing, or nothing but white space or a pair of quotes. */
const isUnset = (given: Given | undefined): boolean =>
  given === undefined ||
  (given.bytes === undefined && given.isUnreadable !== true && unwrapped(given.text).text === "");

const quotesTakenOff = (name: string): Problem => ({
  variable: name,
  message: `${name}: the quotes around the value are not part of it and were taken off`,
  hint: "docker --env-file and Kubernetes keep quotes as they are: write the value without them",
});

const unknownVariables = (environment: Environment): readonly Problem[] => {
  const known = [...variableNames, ...secretFileNames];
  return [...environment.keys()]
    .filter((name) => name.startsWith("IPSEC_") && !known.includes(name))
    .map((name) => {
      const meant = nearest(name, known);
      const message = `${quoted(name)} is not a variable of this gateway and has no effect`;
      return meant === undefined
        ? { variable: name, message, hint: "vnf-ipsec variables lists them all" }
        : { variable: name, message, hint: `did you mean ${meant}?` };
    });
};

/** Fills in what other variables decide; the cross checks have made sure that all of it can be had. */
const completed = (values: Values): ConnectionSettings =>
  ({
    ...values,
    IPSEC_LOCALID: values.IPSEC_LOCALID ?? identityOfEndpoint(values.IPSEC_LOCALIP),
    IPSEC_REMOTEID: values.IPSEC_REMOTEID ?? identityOfEndpoint(values.IPSEC_REMOTEIP),
  }) as ConnectionSettings;
