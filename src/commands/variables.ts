import { type ExitCode, exitCodes } from "../failure.ts";
import { type ReferenceFormat, renderReference } from "../settings/reference.ts";
import type { Context } from "./context.ts";

/** Prints the reference of all variables. */
export const variables = (context: Context, options: { readonly format: ReferenceFormat }): ExitCode => {
  context.stdout.write(renderReference(options.format));
  return exitCodes.ok;
};
