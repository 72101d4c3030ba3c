import * as z from "zod/mini";
import type { Problem, Result } from "../failure.ts";

/** A value that passed its checks, with what the operator should still know about it. */
export type Checked<T> = { readonly value: T; readonly warnings: readonly Problem[] };

/** What a parser of values returns: the value, or every problem; and warnings in both cases. */
export type Parsed<T> =
  | { readonly ok: true; readonly value: T; readonly warnings: readonly Problem[] }
  | { readonly ok: false; readonly problems: readonly Problem[]; readonly warnings: readonly Problem[] };

/** A zod schema from a parser of ours: its problems become zod issues that carry our hint as a parameter. */
export const checkedBy = <T>(parse: (text: string) => Parsed<T>): CheckedSchema<T> =>
  z.pipe(
    z.string(),
    z.transform((text, context): Checked<T> => {
      const parsed = parse(text);
      if (parsed.ok) return { value: parsed.value, warnings: parsed.warnings };
      for (const { message, hint } of parsed.problems) {
        context.issues.push({ code: "custom", message, params: { hint }, input: undefined });
      }
      return z.NEVER;
    }),
  );

/** `zod/mini` is zod without its fluent methods, which take longer to load than all our checks to run. */
export type CheckedSchema<T> = z.ZodMiniType<Checked<T>, string>;

/** The same for a parser that has one problem at most and no warnings. */
export const checkedByResult = <T>(parse: (text: string) => Result<T>): CheckedSchema<T> =>
  checkedBy(parsedBy(parse));

/** What such a parser returns, as the others do. */
export const parsedBy =
  <T>(parse: (text: string) => Result<T>) =>
  (text: string): Parsed<T> => {
    const result = parse(text);
    return result.ok
      ? { ok: true, value: result.value, warnings: [] }
      : { ok: false, problems: [result.problem], warnings: [] };
  };

/** Checks every item of a comma-separated list; all bad items are reported together. */
export const listOf =
  <T>(parseItem: (text: string) => Parsed<T>) =>
  (text: string): Parsed<readonly T[]> => {
    const items = text.split(",").map((item) => item.trim());
    if (items.length > maximumItems) {
      return {
        ok: false,
        problems: [
          { message: `a list of ${items.length} items is too long`, hint: `at most ${maximumItems}` },
        ],
        warnings: [],
      };
    }
    const parsed = items.map(parseItem);
    const warnings = parsed.flatMap((item) => item.warnings);
    const problems = parsed.flatMap((item) => (item.ok ? [] : item.problems));
    if (problems.length > 0) return { ok: false, problems, warnings };
    return { ok: true, value: parsed.flatMap((item) => (item.ok ? [item.value] : [])), warnings };
  };

/** Far more than any peer accepts in one CHILD SA (RFC 7296 §3.13 counts selectors in one byte). */
const maximumItems = 255;
