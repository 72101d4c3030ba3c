import { type ExitCode, exitCodes } from "../failure.ts";
import { renderReference } from "../settings/reference.ts";
import type { ReferenceFormat } from "../settings/reference-formats.ts";
import type { Context } from "./context.ts";

/** Prints the reference of all variables. */
export const variables = (context: Context, options: { readonly format: ReferenceFormat }): ExitCode => {
  context.stdout.write(renderReference(options.format));
  return exitCodes.ok;
};
