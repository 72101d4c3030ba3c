import { closeSync, openSync, readSync } from "node:fs";
import { parse } from "dotenv";
import { type Problem, quoted } from "../failure.ts";
import { type Environment, type Given, unwrapped } from "../settings/environment.ts";
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
 * secrets (`IPSEC_PSK_FILE`) where they are needed. What is wrong with the files is returned, so that it is reported with everything else.
 */
export const readEnvironment = (
  processEnvironment: Readonly<Record<string, string | undefined>>,
  { withSecrets }: { readonly withSecrets: boolean },
): ReadEnvironment => {
  const environment = new Map<string, Given>();
  const errors: Problem[] = [];
  let unreadable = false;
  const read = (variable: string, path: string): Buffer | undefined => {
    try {
      return readBounded(path);
    } catch (error) {
      unreadable = true;
      const reason = (error as NodeJS.ErrnoException).code ?? (error as Error).message;
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
  const envFile = pathIn(environment.get("ENVFILE"));
  const envFileContent = envFile === undefined ? undefined : read("ENVFILE", envFile);
  if (envFile !== undefined && envFileContent !== undefined) {
    const text = envFileContent.toString("utf8").replace(/^\ufeff/, "");
    errors.push(...lintEnvironmentFile(text, envFile));
    for (const [name, value] of Object.entries(parse(text))) {
      if (value.trim() === "") environment.delete(name);
      else environment.set(name, { text: value, source: envFile });
    }
  }
  for (const fileName of withSecrets ? secretFileNames : []) {
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
    const path = pathIn(given);
    if (path === undefined) continue;
    const content = read(fileName, path);
    environment.set(
      name,
      content === undefined
        ? { text: "", source: path, isUnreadable: true }
        : { text: "", source: path, bytes: withoutTrailingNewline(content) },
    );
  }
  return { environment, errors, unreadable };
};

/** Quotes around a path are taken off here too; the settings warn of them. */
const pathIn = (given: Given | undefined): string | undefined => {
  const { text } = unwrapped(given?.text ?? "");
  return text === "" ? undefined : text;
};

/** As much of a file as any environment or key can need: `/dev/zero` must not fill the memory. */
const maximumBytes = 1024 * 1024;

const readBounded = (path: string): Buffer => {
  const descriptor = openSync(path, "r");
  try {
    const buffer = Buffer.alloc(maximumBytes + 1);
    let length = 0;
    // A pipe, such as a shell's <(command), gives less than was asked for at a time.
    for (let count = 1; count > 0 && length < buffer.length; length += count) {
      count = readSync(descriptor, buffer, length, buffer.length - length, null);
    }
    if (length > maximumBytes) throw new Error("it has more than 1 MiB");
    return buffer.subarray(0, length);
  } finally {
    closeSync(descriptor);
  }
};

/** Editors and `echo` end a file with a newline that is no part of the secret. */
const withoutTrailingNewline = (bytes: Buffer): Uint8Array => {
  const text = bytes.toString("latin1");
  return new Uint8Array(bytes.subarray(0, text.length - (/\r?\n$/.exec(text)?.[0].length ?? 0)));
};
