import {
  chmodSync,
  chownSync,
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { type ConfigFile, marker } from "../backend/config-file.ts";
import { exitCodes, Failure } from "../failure.ts";

/** User and group that the daemon becomes, when it does not stay root. */
export type Owner = { readonly uid: number; readonly gid: number };

export type WriteOptions = {
  /** Put before every path: empty for the host itself. */
  readonly root: string;
  readonly owner?: Owner;
};

/** What writing changed, so that it can be taken back. */
export type Written = {
  readonly paths: readonly string[];
  /** Puts back what stood there before: removes new files, restores those of others. */
  readonly restore: () => void;
};

/**
 * Writes the files so that a reader sees each old or new and never half: to a temporary name in the same
 * directory, synced, renamed over the old one (rename(2) is atomic). When one cannot be written the earlier
 * ones are put back.
 */
export const writeFiles = (files: readonly ConfigFile[], options: WriteOptions): Written => {
  const before: { path: string; previous: Buffer | undefined; file: ConfigFile }[] = [];
  const restore = (): void => {
    for (const { path, previous, file } of before.toReversed()) {
      if (previous === undefined) rmSync(path, { force: true });
      else replaceFile(path, previous, file, options.owner);
    }
  };
  for (const file of files) {
    const path = join(options.root, file.path);
    try {
      mkdirSync(dirname(path), { recursive: true, mode: file.mode === 0o600 ? 0o711 : 0o755 });
      removeLeftovers(path);
      const previous = readIfPresent(path);
      replaceFile(path, Buffer.from(file.text), file, options.owner);
      before.push({ path, previous: isOurs(previous) ? undefined : previous, file });
    } catch (error) {
      restore();
      throw unwritable(file.path, error as NodeJS.ErrnoException);
    }
  }
  return { paths: before.map(({ path }) => path), restore };
};

/** Removes the files of ours in the given directories that are not among the wanted ones. */
export const removeUnwanted = (directories: readonly string[], wanted: readonly ConfigFile[], options: WriteOptions): readonly string[] => {
  const keep = new Set(wanted.map((file) => join(options.root, file.path)));
  const removed: string[] = [];
  for (const directory of directories) {
    const inside = join(options.root, directory);
    for (const name of listIfPresent(inside)) {
      const path = join(inside, name);
      if (keep.has(path) || !isOurs(readIfPresent(path))) continue;
      rmSync(path, { force: true });
      removed.push(path);
    }
  }
  return removed;
};

const replaceFile = (path: string, content: Buffer, file: ConfigFile, owner: Owner | undefined): void => {
  const temporary = temporaryName(path);
  try {
    const descriptor = openSync(temporary, "wx", 0o600);
    try {
      writeSync(descriptor, content);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    if (file.ownedByDaemon && owner !== undefined) chownSync(temporary, owner.uid, owner.gid);
    chmodSync(temporary, file.mode);
    renameSync(temporary, path);
    syncDirectory(dirname(path));
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
};

/** The dot keeps a half-written file out of charon's `*.conf` and `*.secrets` patterns (glob(3) skips it). */
const temporaryName = (path: string): string => join(dirname(path), `.${basename(path)}.vnf-ipsec`);

/** A writer that was killed leaves its temporary file behind. */
const removeLeftovers = (path: string): void => rmSync(temporaryName(path), { force: true });

/** Makes the rename itself last through a power cut. */
const syncDirectory = (directory: string): void => {
  const descriptor = openSync(directory, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
};

const isOurs = (content: Buffer | undefined): boolean => content?.subarray(0, marker.length).toString() === marker;

const readIfPresent = (path: string): Buffer | undefined => {
  try {
    return readFileSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
};

const listIfPresent = (directory: string): readonly string[] => {
  try {
    return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => (entry.isFile() ? [entry.name] : []));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
};

const unwritable = (path: string, error: NodeJS.ErrnoException): Failure => {
  const code = error.code ?? "unknown error";
  const message = `${path} cannot be written: ${code}`;
  const exitCode = code === "EACCES" || code === "EPERM" ? exitCodes.permission : exitCodes.inputOutput;
  return new Failure([{ message, hint: remedies[code] ?? "check the directory, its permissions and its file system" }], exitCode, {
    cause: error,
  });
};

const remedies: Readonly<Record<string, string>> = {
  EACCES: "run as root",
  EPERM: "run as root, and see whether the file is immutable",
  EROFS: "the file system is read-only: mount a tmpfs over the directory",
  ENOSPC: "the file system is full: free some space; the old configuration was kept",
  EDQUOT: "the quota is used up: free some space; the old configuration was kept",
  EBUSY: "the file is mounted by itself: mount its directory, or keep your own (IPSEC_MANUAL_CHARON=yes for charon.conf)",
  EISDIR: "there is a directory of that name: remove it, or the mount that made it",
  ENOTDIR: "part of the path is not a directory",
};
