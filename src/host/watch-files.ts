import { type FSWatcher, statSync, watch } from "node:fs";
import { join } from "node:path";
import type { Log } from "../observe/log.ts";
import { type FilesRead, readBounded } from "./file-reader.ts";
import { lookupsOf } from "./lookups.ts";

export type WatchOptions = {
  /** What was read last, whether it was good or not; undefined while nothing is to be watched. */
  readonly files: () => FilesRead | undefined;
  /** Is told once things have settled and a file has not the content any more that was read. */
  readonly onChange: () => void;
  readonly log: Log;
};

export type FileWatch = {
  /** Watches what is to be watched now, after other files were read. */
  readonly follow: () => void;
  readonly stop: () => void;
};

/**
 * Tells when files that were read have another content, appear or vanish; how they are replaced does not matter.
 *
 * inotify(7) tells at once: every directory is watched through which a path leads, for the one entry that it needs there,
 * and the file itself. The file, because a single file that Docker mounts has its directory on the host: what writes into
 * it is told to a watch of the file, and to none of the directory that the container sees. (One that is replaced there is
 * not seen in the container at all: the mount keeps the old inode. Only mounted directories show that.)
 * It tells nothing of what others change on a network file system, of what is mounted over a path, and where the user's
 * watches are used up (fs.inotify.max_user_watches). So all files are looked at every ten seconds too: a stat(2) each.
 */
export const watchFiles = ({ files, onChange, log }: WatchOptions): FileWatch => {
  const watches = new Map<string, FSWatcher>();
  let places: Places = new Map();
  const same = new Map<string, Same>();
  let settling: NodeJS.Timeout | undefined;
  let latest = 0;
  let isLimited = false;

  const open = (path: string, key: string): FSWatcher | undefined => {
    try {
      const opened = watch(path, { persistent: false }, (_, name) => {
        const names = places.get(key)?.names;
        if (name === null || names?.size === 0 || names?.has(name)) lookSoon();
      });
      opened.on("error", () => opened.close());
      return opened;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (!isLimited && (code === "ENOSPC" || code === "EMFILE")) {
        isLimited = true;
        log.warn(
          { event: "watch-limited", reason: code, hint: "raise fs.inotify.max_user_watches" },
          "not every file can be watched: changes are seen within ten seconds only",
        );
      }
      return undefined;
    }
  };

  /** What has changed before it was watched is found by looking again. */
  const watchAll = (read: FilesRead): void => {
    const paths = [...read.keys()];
    for (let round = 0; round < 3; round += 1) {
      places = placesOf(paths);
      for (const [key, opened] of watches) {
        if (places.has(key)) continue;
        opened.close();
        watches.delete(key);
      }
      const missing = [...places].filter(([key]) => !watches.has(key));
      if (missing.length === 0) return;
      for (const [key, { path }] of missing) {
        const opened = open(path, key);
        if (opened !== undefined) watches.set(key, opened);
      }
    }
  };

  const look = (): void => {
    clearTimeout(settling);
    settling = undefined;
    const read = files() ?? new Map();
    watchAll(read);
    const changed = [...read]
      .filter(([path, content]) => isChanged(path, content, same))
      .map(([path]) => path);
    if (changed.length === 0) return;
    log.info({ event: "files-changed", paths: changed }, "files have changed and are read again");
    onChange();
  };

  const lookSoon = (): void => {
    if (settling === undefined) latest = performance.now() + patienceMilliseconds;
    clearTimeout(settling);
    settling = setTimeout(look, Math.min(settleMilliseconds, latest - performance.now()));
    settling.unref();
  };

  const regularly = setInterval(look, regularMilliseconds);
  regularly.unref();
  const follow = (): void => {
    watchAll(files() ?? new Map());
    // Not at once: what changes without end would be read without end.
    lookSoon();
  };
  follow();
  return {
    follow,
    stop: () => {
      clearTimeout(settling);
      clearInterval(regularly);
      for (const opened of watches.values()) opened.close();
    },
  };
};

/** What writes a file does so in several steps, and may write several files. */
const settleMilliseconds = 200;
/** For what never settles. */
const patienceMilliseconds = 2_000;
const regularMilliseconds = 10_000;

/** What is to be watched, and for which entries if it is a directory; by path and inode, since another may take its place. */
type Places = ReadonlyMap<string, { readonly path: string; readonly names: ReadonlySet<string> }>;

const placesOf = (paths: readonly string[]): Places => {
  const places = new Map<string, { readonly path: string; readonly names: Set<string> }>();
  const keys = new Map<string, string | undefined>();
  const keyOf = (path: string): string | undefined => {
    if (!keys.has(path)) {
      const inode = statOf(path);
      keys.set(path, inode && `${inode.dev}:${inode.ino}:${path}`);
    }
    return keys.get(path);
  };
  const add = (path: string, name?: string): void => {
    const key = keyOf(path);
    if (key === undefined) return;
    const place = places.get(key) ?? { path, names: new Set() };
    if (name !== undefined) place.names.add(name);
    places.set(key, place);
  };
  const found = new Map();
  for (const path of paths) {
    const lookups = lookupsOf(path, found);
    for (const { directory, name } of lookups) add(directory, name);
    const last = lookups.at(-1);
    if (last !== undefined) add(join(last.directory, last.name));
  }
  return places;
};

/** A file that was found to have the content that was read, and how it looked then. */
type Same = { readonly content: Buffer | undefined; readonly look: string };

const isChanged = (path: string, content: Buffer | undefined, same: Map<string, Same>): boolean => {
  const stat = statOf(path);
  // A pipe gives its content once, to whoever reads first.
  if (stat !== undefined && !stat.isFile()) return false;
  const look = stat === undefined ? "" : [stat.dev, stat.ino, stat.size, stat.mtimeNs, stat.ctimeNs].join();
  const known = same.get(path);
  if (known?.content === content && known?.look === look) return false;
  const present = stat === undefined ? undefined : contentOf(path);
  const isSame =
    present === undefined || content === undefined ? present === content : present.equals(content);
  if (isSame) same.set(path, { content, look });
  return !isSame;
};

const statOf = (path: string) => {
  try {
    return statSync(path, { bigint: true, throwIfNoEntry: false });
  } catch {
    return undefined;
  }
};

const contentOf = (path: string): Buffer | undefined => {
  try {
    return readBounded(path);
  } catch {
    return undefined;
  }
};
