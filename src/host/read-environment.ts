import { readFileSync } from "node:fs";
import { parse } from "dotenv";
import { type Problem, quoted } from "../failure.ts";
import type { Environment, Given } from "../settings/environment.ts";
import { secretFileNames } from "../settings/variables.ts";
import { lintEnvironmentFile } from "./lint-environment-file.ts";

export type ReadEnvironment = {
  readonly environment: Environment;
  readonly errors: readonly Problem[];
  /** Whether one of the errors is a file that could not be read. */
  readonly unreadable: boolean;
};

/**
 * Gathers what was given: the process environment, over it the file that `ENVFILE` names, and the files of
 * secrets (`IPSEC_PSK_FILE`). What is wrong with the files is returned, so that it is reported with everything else.
 */
export const readEnvironment = (processEnvironment: Readonly<Record<string, string | undefined>>): ReadEnvironment => {
  const environment = new Map<string, Given>();
  const errors: Problem[] = [];
  let unreadable = false;
  const read = (variable: string, path: string): Buffer | undefined => {
    try {
      return readFileSync(path);
    } catch (error) {
      unreadable = true;
      const reason = (error as NodeJS.ErrnoException).code ?? "unknown error";
      errors.push({
        variable,
        message: `${variable}=${quoted(path)} cannot be read: ${reason}`,
        hint: "check the path, its permissions, and that it is mounted into the container",
      });
      return undefined;
    }
  };

  for (const [name, text] of Object.entries(processEnvironment)) {
    if (text !== undefined && text.trim() !== "") environment.set(name, { text, source: "the environment" });
  }
  const envFile = environment.get("ENVFILE")?.text.trim();
  const envFileContent = envFile === undefined ? undefined : read("ENVFILE", envFile);
  if (envFile !== undefined && envFileContent !== undefined) {
    const text = envFileContent.toString("utf8");
    errors.push(...lintEnvironmentFile(text, envFile));
    for (const [name, value] of Object.entries(parse(text))) {
      if (value.trim() === "") environment.delete(name);
      else environment.set(name, { text: value, source: envFile });
    }
  }
  for (const fileName of secretFileNames) {
    const given = environment.get(fileName);
    if (given === undefined) continue;
    const name = fileName.slice(0, -"_FILE".length);
    if (environment.has(name)) {
      errors.push({
        variable: `${name}, ${fileName}`,
        message: `${name} and ${fileName} are both set`,
        hint: `keep one of them; ${fileName} stays out of the process environment`,
      });
      continue;
    }
    const content = read(fileName, given.text.trim());
    const bytes = content ?? Buffer.from("");
    environment.set(name, { text: "", source: given.text.trim(), bytes: withoutTrailingNewline(bytes) });
  }
  return { environment, errors, unreadable };
};

/** Editors and `echo` end a file with a newline that is no part of the secret. */
const withoutTrailingNewline = (bytes: Buffer): Uint8Array => {
  const text = bytes.toString("latin1");
  return new Uint8Array(bytes.subarray(0, text.length - (/\r?\n$/.exec(text)?.[0].length ?? 0)));
};
