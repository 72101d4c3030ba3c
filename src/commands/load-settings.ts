import { exitCodes, Failure, type Problem } from "../failure.ts";
import type { FilesRead } from "../host/file-reader.ts";
import { readEnvironment } from "../host/read-environment.ts";
import type { ConnectionEnvironment, Environment } from "../settings/environment.ts";
import { parseSettings } from "../settings/parse-settings.ts";
import type { Purpose, Settings } from "../settings/settings.ts";
import type { SettingsMemory } from "../settings/settings-memory.ts";

export type LoadedSettings = {
  readonly settings: Settings;
  readonly warnings: readonly Problem[];
  readonly files: FilesRead;
};

/** Reads and checks an environment with its files; throws one Failure that tells every error and warning. */
export const loadSettings = async (
  processEnvironment: Readonly<Record<string, string | undefined>>,
  purpose: Purpose,
  memory?: SettingsMemory,
): Promise<LoadedSettings> => requireSettings(await inspectSettings(processEnvironment, purpose, memory));

/** What was inspected, or one Failure that tells every error and warning. */
export const requireSettings = (inspected: InspectedSettings): LoadedSettings => {
  const { settings, errors, warnings, unreadable, files } = inspected;
  if (settings === undefined)
    throw new Failure(errors, unreadable ? exitCodes.inputOutput : exitCodes.configuration, { warnings });
  return { settings, warnings, files };
};

export type InspectedSettings = {
  /** Absent when there is an error. */
  readonly settings?: Settings;
  readonly errors: readonly Problem[];
  readonly warnings: readonly Problem[];
  /** Whether one of the errors is a file that could not be read. */
  readonly unreadable: boolean;
  /** What was given, right or wrong. */
  readonly environment: Environment;
  readonly connections: readonly ConnectionEnvironment[];
  readonly files: FilesRead;
};

/** The same for whoever goes on where there are errors. */
export const inspectSettings = async (
  processEnvironment: Readonly<Record<string, string | undefined>>,
  purpose: Purpose,
  memory?: SettingsMemory,
): Promise<InspectedSettings> => {
  const { environment, connections, unreadable, errors, files } = await readEnvironment(processEnvironment, {
    withSecrets: purpose === "gateway",
  });
  const parsed = parseSettings(environment, purpose, connections, memory && { memory });
  const all = [...errors, ...parsed.errors];
  const { settings } = parsed;
  return {
    ...(settings === undefined || all.length > 0 ? {} : { settings }),
    errors: all,
    warnings: parsed.warnings,
    unreadable,
    environment,
    connections: connections ?? [],
    files,
  };
};
