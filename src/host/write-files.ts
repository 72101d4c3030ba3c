import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
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
  /** What stood at each path before this gateway. */
  readonly originals: readonly Original[];
  /** Puts back what stood there just before, a former configuration of ours included. */
  readonly rollBack: () => void;
};

/** What stands at a path, but for its mode and owner, which are those of the file that comes there. */
export type Original = Place & {
  /** Undefined where there was nothing, or only something of ours. */
  readonly content: Buffer | undefined;
};

type Place = Pick<ConfigFile, "path" | "mode" | "ownedByDaemon">;

/**
 * Writes the files so that a reader sees each old or new and never half: to a temporary name in the same
 * directory, synced, renamed over the old one (rename(2) is atomic). All are written before the first is renamed,
 * so that a full disk changes nothing; and when one cannot be renamed, what stood there is put back.
 * What is there already as it should be is not touched.
 * A symbolic link stays one, and the file is written where it leads: below /run the rest may be read-only.
 */
export const writeFiles = (files: readonly ConfigFile[], { root, owner }: WriteOptions): Written => {
  const staged: (Original & { readonly name: string })[] = [];
  const replaced: Original[] = [];
  const rollBack = (): void => {
    for (const one of replaced.toReversed()) putBack(one, owner);
  };
  const attempt = <Result>(path: string, act: () => Result): Result => {
    try {
      return act();
    } catch (error) {
      for (const one of staged) removeLeftovers(one.path);
      rollBack();
      throw unwritable(path, error as NodeJS.ErrnoException);
    }
  };
  const originals = files.map((file) =>
    attempt(file.path, () => {
      const path = join(root, targetOf(file.path, root));
      const { mode, ownedByDaemon } = file;
      const place: Place = { path, mode, ownedByDaemon };
      const text = Buffer.from(file.text);
      removeLeftovers(path);
      const content = readIfPresent(path);
      if (content === undefined || !content.equals(text) || !isOwnedAs(place, owner)) {
        makeDirectory(dirname(path), file.mode === 0o600 ? 0o711 : 0o755);
        staged.push({ ...place, content, name: file.path });
        stageFile(place, text, owner);
      }
      return { ...place, content: isOurs(content) ? undefined : content };
    }),
  );
  for (const one of staged) {
    attempt(one.name, () => {
      if (one.content !== undefined && !isOurs(one.content)) saveOriginal(one.path);
      renameSync(temporaryName(one.path), one.path);
      replaced.push(one);
    });
  }
  for (const directory of new Set(staged.map(({ path }) => dirname(path))))
    attempt(directory, () => syncDirectory(directory));
  return { originals, rollBack };
};

/**
 * Removes the files that were written there and puts back those of others, also after a crash. Returns the paths where
 * that was not possible.
 */
export const restoreFiles = (
  originals: readonly Original[],
  { owner }: Pick<WriteOptions, "owner">,
): readonly string[] =>
  originals.toReversed().flatMap((original) => {
    const { path } = original;
    try {
      if (existsSync(originalName(path))) renameSync(originalName(path), path);
      else putBack(original, owner);
      return [];
    } catch {
      return [path];
    }
  });

/** Removes the files of ours in the given directories that are not among the wanted ones. */
export const removeUnwanted = (
  directories: readonly string[],
  wanted: readonly ConfigFile[],
  options: WriteOptions,
): readonly string[] => {
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

const targetOf = (path: string, root: string): string => {
  const inRoot = join(root, path);
  return lstatSync(inRoot, { throwIfNoEntry: false })?.isSymbolicLink()
    ? resolve(dirname(path), readlinkSync(inRoot))
    : path;
};

const isOwnedAs = ({ path, mode, ownedByDaemon }: Place, owner: Owner | undefined): boolean => {
  const stats = statSync(path);
  const { uid, gid } = (ownedByDaemon ? owner : undefined) ?? { uid: 0, gid: 0 };
  return (stats.mode & 0o7777) === mode && stats.uid === uid && stats.gid === gid;
};

/** Like mkdirSync with `recursive`, which says ENOENT for whatever reason a directory could not be made. */
const makeDirectory = (path: string, mode: number): void => {
  try {
    mkdirSync(path, { mode });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST") return;
    if (code !== "ENOENT") throw error;
    makeDirectory(dirname(path), 0o755);
    mkdirSync(path, { mode });
  }
};

const putBack = ({ content, ...place }: Original, owner: Owner | undefined): void => {
  if (content === undefined) {
    rmSync(place.path, { force: true });
    return;
  }
  stageFile(place, content, owner);
  renameSync(temporaryName(place.path), place.path);
  syncDirectory(dirname(place.path));
};

const stageFile = ({ path, mode, ownedByDaemon }: Place, content: Buffer, owner: Owner | undefined): void => {
  const temporary = temporaryName(path);
  try {
    const descriptor = openSync(temporary, "wx", 0o600);
    try {
      // Not writeSync, which writes a part where the disk has no room for all of it.
      writeFileSync(descriptor, content);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    // In this order, since the mode of another's file takes a capability more to change (chmod(2)).
    chmodSync(temporary, mode);
    if (ownedByDaemon && owner !== undefined) chownSync(temporary, owner.uid, owner.gid);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
};

/** A second name for a file of others keeps it, with mode and owner, for whoever comes after a crash. */
const saveOriginal = (path: string): void => {
  rmSync(originalName(path), { force: true });
  try {
    linkSync(path, originalName(path));
  } catch {
    // A file system without hard links: then only its content is known, and only as long as this process lives.
  }
};

const originalName = (path: string): string => join(dirname(path), `.${basename(path)}.before-vnf-ipsec`);

/** The dot keeps a half-written file out of charon's `*.conf` and `*.secrets` patterns (glob(3) skips it). */
const temporaryName = (path: string): string => join(dirname(path), `.${basename(path)}.vnf-ipsec`);

/** A writer that was killed leaves its temporary file behind. */
const removeLeftovers = (path: string): void => {
  const temporary = temporaryName(path);
  if (lstatSync(temporary, { throwIfNoEntry: false }) !== undefined) rmSync(temporary, { force: true });
};

/** Makes the rename itself last through a power cut. */
const syncDirectory = (directory: string): void => {
  const descriptor = openSync(directory, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
};

const isOurs = (content: Buffer | undefined): boolean =>
  content?.subarray(0, marker.length).toString() === marker;

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
    return readdirSync(directory, { withFileTypes: true }).flatMap((entry) =>
      entry.isFile() ? [entry.name] : [],
    );
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
};

const unwritable = (path: string, error: NodeJS.ErrnoException): Failure => {
  const code = error.code ?? "unknown error";
  const message = `${path} cannot be written: ${code}`;
  const exitCode = code === "EACCES" || code === "EPERM" ? exitCodes.permission : exitCodes.inputOutput;
  return new Failure(
    [{ message, hint: remedies[code] ?? "check the directory, its permissions and its file system" }],
    exitCode,
    {
      cause: error,
    },
  );
};

const remedies: Readonly<Record<string, string>> = {
  EACCES: "run as root",
  EPERM: "run as root, and see whether the file is immutable",
  EROFS: "the file system is read-only: mount a tmpfs over the directory",
  ENOSPC: "the file system is full: free some space; the old configuration was kept",
  EDQUOT: "the quota is used up: free some space; the old configuration was kept",
  EBUSY:
    "the file is mounted by itself: mount its directory, or keep your own (IPSEC_MANUAL_CHARON=yes for charon.conf)",
  EISDIR: "there is a directory of that name: remove it, or the mount that made it",
  ENOTDIR: "part of the path is not a directory",
};
