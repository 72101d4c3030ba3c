import { exitCodes, Failure, type Problem } from "../failure.ts";
import { readEnvironment } from "../host/read-environment.ts";
import { parseSettings } from "../settings/parse-settings.ts";
import type { Purpose, Settings } from "../settings/settings.ts";

export type LoadedSettings = { readonly settings: Settings; readonly warnings: readonly Problem[] };

/** Reads and checks an environment with its files; throws one Failure that tells every error and warning. */
export const loadSettings = (
  processEnvironment: Readonly<Record<string, string | undefined>>,
  purpose: Purpose,
): LoadedSettings => {
  const read = readEnvironment(processEnvironment, { withSecrets: purpose === "gateway" });
  const parsed = parseSettings(read.environment, purpose);
  const errors = [...read.errors, ...parsed.errors];
  if (parsed.settings === undefined || errors.length > 0) {
    throw new Failure(errors, read.unreadable ? exitCodes.inputOutput : exitCodes.configuration, {
      warnings: parsed.warnings,
    });
  }
  return { settings: parsed.settings, warnings: parsed.warnings };
};
