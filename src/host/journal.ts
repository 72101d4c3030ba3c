import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import type { Argv } from "./step.ts";

/**
 * The commands that take back what this process has changed, kept in a file: whoever comes after a process that
 * was killed can still do it. It lies under /run, which is as short-lived as the kernel's own state.
 */
export type Journal = {
  readonly entries: () => readonly Argv[];
  readonly add: (undo: Argv) => void;
  readonly drop: (undo: Argv) => void;
};

export const openJournal = (path: string): Journal => {
  let entries = readEntries(path);
  const save = (): void => {
    if (entries.length === 0) {
      rmSync(path, { force: true });
      return;
    }
    mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
    writeFileSync(`${path}.new`, JSON.stringify(entries), { mode: 0o600 });
    renameSync(`${path}.new`, path);
  };
  // What cannot be read is of no use to anybody.
  if (entries.length === 0) rmSync(path, { force: true });
  return {
    entries: () => entries,
    add: (undo) => {
      // What a predecessor did and this process does again is to be taken back once.
      if (entries.some(isSame(undo))) return;
      entries = [...entries, undo];
      save();
    },
    drop: (undo) => {
      const isDropped = isSame(undo);
      entries = entries.filter((entry) => !isDropped(entry));
      save();
    },
  };
};

const isSame = (undo: Argv): ((entry: Argv) => boolean) => {
  const text = JSON.stringify(undo);
  return (entry) => JSON.stringify(entry) === text;
};

/** A journal for changes that are to stay once all of them are made. */
export const memoryJournal = (): Journal => {
  let entries: readonly Argv[] = [];
  return {
    entries: () => entries,
    add: (undo) => {
      entries = [...entries, undo];
    },
    drop: (undo) => {
      entries = entries.filter((entry) => entry !== undo);
    },
  };
};

const readEntries = (path: string): readonly Argv[] => {
  try {
    const entries: unknown = JSON.parse(readFileSync(path, "utf8"));
    return Array.isArray(entries) ? entries.filter(isArgv) : [];
  } catch {
    // There is none, or a crash cut it short: what cannot be read cannot be taken back.
    return [];
  }
};

const isArgv = (entry: unknown): entry is Argv =>
  Array.isArray(entry) && entry.length > 0 && entry.every((word) => typeof word === "string");
