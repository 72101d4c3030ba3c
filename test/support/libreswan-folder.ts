import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { repository } from "./repository.ts";

/** Holds a folder for each version, named after it. */
export const libreswanCache = join(repository, ".cache/libreswan");

/** The newest that has been unpacked, as Debian's package; undefined when there is none. */
export const findLibreswan = (): { readonly version: string; readonly folder: string } | undefined => {
  const versions = existsSync(libreswanCache) ? readdirSync(libreswanCache) : [];
  const version = versions
    .filter((name) => /^\d/.test(name))
    .sort()
    .at(-1);
  return version === undefined ? undefined : { version, folder: join(libreswanCache, version) };
};
