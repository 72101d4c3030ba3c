import { lstatSync, readlinkSync } from "node:fs";
import { dirname, isAbsolute, join, resolve } from "node:path";

/** An entry of a directory that the kernel looks up on its way to a file. No directory here is a link. */
export type Lookup = { readonly directory: string; readonly name: string };

/**
 * Every look-up that a path takes (path_resolution(7)), links followed: when one of these entries changes, the path may
 * lead elsewhere. A Kubernetes volume has three of them: `psk` is a link to `..data/psk`, `..data` is a link to a
 * directory and is replaced when the volume changes, and in that directory is the file. It ends where an entry is missing.
 * Many files are in few directories: who looks up several hands the same map over, which keeps what was found.
 */
export const lookupsOf = (path: string, found = new Map<string, Entry>()): readonly Lookup[] => {
  const lookups: Lookup[] = [];
  let directory = "/";
  let rest = parts(resolve(path));
  let links = 0;
  for (;;) {
    const [name, ...further] = rest;
    if (name === undefined || links > maximumLinks) return lookups;
    rest = further;
    if (name === "..") {
      directory = dirname(directory);
      continue;
    }
    lookups.push({ directory, name });
    const entryPath = join(directory, name);
    const entry = found.get(entryPath) ?? readEntry(entryPath);
    found.set(entryPath, entry);
    if (entry === "missing") return lookups;
    if (entry === "no link") {
      directory = entryPath;
      continue;
    }
    links += 1;
    rest = [...parts(entry.target), ...further];
    if (isAbsolute(entry.target)) directory = "/";
  }
};

/** The kernel's limit; then it is a loop (ELOOP). */
const maximumLinks = 40;

const parts = (path: string): readonly string[] =>
  path.split("/").filter((part) => part !== "" && part !== ".");

type Entry = "missing" | "no link" | { readonly target: string };

const readEntry = (path: string): Entry => {
  try {
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (stat === undefined) return "missing";
    return stat.isSymbolicLink() ? { target: readlinkSync(path) } : "no link";
  } catch {
    return "missing";
  }
};
