import type { Problem } from "../failure.ts";
import { type Given, labelOf, unwrapped } from "./environment.ts";
import { definitionOf, type VariableName } from "./variables.ts";

export type ParsedVariable = {
  /** Absent when it is not set, or refused. */
  readonly value?: unknown;
  readonly errors: readonly Problem[];
  readonly warnings: readonly Problem[];
};

/** Checks one variable alone, its default where nothing is given. */
export const parseVariable = (name: VariableName, given: Given | undefined): ParsedVariable => {
  const definition = definitionOf(name);
  const errors: Problem[] = [];
  const warnings: Problem[] = [];
  const { text, hadQuotes } = unwrapped(given?.text ?? "");
  if (hadQuotes) warnings.push(quotesTakenOff(name, labelOf(given, name)));
  if (isUnset(given)) {
    if (definition.default === undefined) return { errors, warnings };
    return { ...parseVariable(name, { text: definition.default, source: "default" }), warnings };
  }
  const attribute = (problem: Problem): Problem => ({
    ...problem,
    variable: name,
    message: `${labelOf(given, name)}: ${problem.message}`,
    ...(given?.place === undefined ? {} : { place: given.place }),
  });
  if (given?.isUnreadable) return { errors, warnings };
  if (given?.bytes !== undefined && definition.parseBytes !== undefined) {
    const parsed = definition.parseBytes(given.bytes);
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
export const isUnset = (given: Given | undefined): boolean =>
  given === undefined ||
  (given.bytes === undefined && given.isUnreadable !== true && unwrapped(given.text).text === "");

export const quotesTakenOff = (name: string, label: string): Problem => ({
  variable: name,
  message: `${label}: the quotes around the value are not part of it and were taken off`,
  hint: "docker --env-file and Kubernetes keep quotes as they are: write the value without them",
});
