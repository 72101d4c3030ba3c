import { existsSync } from "node:fs";
import { type Given, labelOf, unwrapped } from "../settings/environment.ts";
import { valueFileNames } from "../settings/variables.ts";
import type { FileReader, Unread } from "./file-reader.ts";

/** Puts the content of each secret's file that `given` names into `environment`. Both forms in `given` are an error. */
export const readSecretFiles = (
  given: ReadonlyMap<string, Given>,
  environment: Map<string, Given>,
  reader: FileReader,
): void => {
  for (const fileName of valueFileNames) {
    const name = fileName.slice(0, -"_FILE".length);
    const [inline, file] = [given.get(name), given.get(fileName)];
    if (file === undefined) continue;
    if (inline !== undefined) {
      reader.complain({
        variable: `${name}, ${fileName}`,
        message: `${labelOf(inline, name)} and ${labelOf(file, fileName)} are both set`,
        hint: `keep one of them; ${fileName} stays out of the process environment`,
        named: file,
      });
      continue;
    }
    const path = pathIn(file);
    if (path === undefined) continue;
    const label = labelOf(file, fileName);
    const content = reader.read(label, path, file, isPath(path) ? undefined : notShown(label, name));
    environment.set(name, {
      ...file,
      text: "",
      source: path,
      ...(content === undefined ? { isUnreadable: true } : { bytes: withoutTrailingNewline(content) }),
    });
  }
};

/** A secret may begin with a slash too, as one in sixty-four of base64 does, but hardly with a folder that is there. */
const isPath = (text: string): boolean => {
  const [folder] = /^(?:\.{1,2}\/|\/[^/]+\/)/.exec(text) ?? [];
  return folder !== undefined && !text.includes("\n") && existsSync(folder);
};

/** What is no path may be the secret itself, given in the wrong variable. */
const notShown = (label: string, name: string): Unread => ({
  shown: `the file of ${label}`,
  hint: `give the whole path of a file that is mounted into the container; what it is now is not shown, since it may be the secret itself, which belongs into ${name}`,
});

/** Quotes around a path are taken off here too; the settings warn of them. */
export const pathIn = (given: Given | undefined): string | undefined => {
  const { text } = unwrapped(given?.text ?? "");
  return text === "" ? undefined : text;
};

/** Editors and `echo` end a file with a newline that is no part of the secret. */
const withoutTrailingNewline = (bytes: Buffer): Uint8Array => {
  const text = bytes.toString("latin1");
  return new Uint8Array(bytes.subarray(0, text.length - (/\r?\n$/.exec(text)?.[0].length ?? 0)));
};
