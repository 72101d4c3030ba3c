import { parse } from "dotenv";
import type { Problem } from "../failure.ts";
import type { ConnectionEnvironment, Environment, Given } from "../settings/environment.ts";
import { createFileReader, type FileReader, type FilesRead } from "./file-reader.ts";
import { lintEnvironmentFile } from "./lint-environment-file.ts";
import { pathIn, readSecretFiles } from "./read-secret-files.ts";

export type ReadEnvironment = {
  readonly environment: Environment;
  /** Those of a file of connections; undefined when none is named. */
  readonly connections?: readonly ConnectionEnvironment[];
  readonly errors: readonly Problem[];
  /** Whether one of the errors is a file that could not be read. */
  readonly unreadable: boolean;
  readonly files: FilesRead;
};

type ReadOptions = { readonly withSecrets: boolean };

/**
 * Gathers what was given: the process environment, over it the file that `ENVFILE` names, the file of connections that
 * `IPSEC_CONFIG_FILE` names, and the files of secrets (`IPSEC_PSK_FILE`) where they are needed. What is wrong with the
 * files is returned, so that it is reported with everything else.
 */
export const readEnvironment = async (
  processEnvironment: Readonly<Record<string, string | undefined>>,
  { withSecrets }: ReadOptions,
): Promise<ReadEnvironment> => {
  const reader = createFileReader();
  const environment = readVariables(processEnvironment, reader);
  if (withSecrets) readSecretFiles(environment, environment, reader);
  const path = pathIn(environment.get("IPSEC_CONFIG_FILE"));
  // Its library takes longer to load than everything else, and few need it.
  const connections =
    path === undefined
      ? undefined
      : (await import("./read-connections.ts")).readConnections(path, environment, reader, { withSecrets });
  return {
    environment,
    ...(connections === undefined ? {} : { connections }),
    errors: reader.errors,
    unreadable: reader.unreadable(),
    files: reader.files,
  };
};

const readVariables = (
  processEnvironment: Readonly<Record<string, string | undefined>>,
  reader: FileReader,
): Map<string, Given> => {
  const environment = new Map<string, Given>();
  for (const [name, text] of Object.entries(processEnvironment)) {
    if (text !== undefined && text.trim() !== "") environment.set(name, { text, source: "the environment" });
  }
  const envFile = pathIn(environment.get("ENVFILE"));
  const content = envFile === undefined ? undefined : reader.read("ENVFILE", envFile);
  if (envFile === undefined || content === undefined) return environment;
  const text = content.toString("utf8").replace(/^\ufeff/, "");
  reader.errors.push(...lintEnvironmentFile(text, envFile));
  for (const [name, value] of Object.entries(parse(text))) {
    if (value.trim() === "") environment.delete(name);
    else environment.set(name, { text: value, source: envFile });
  }
  return environment;
};
