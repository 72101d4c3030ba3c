import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import type { Argv } from "./step.ts";

/**
 * The commands that take back what this process has changed, kept in a file: whoever comes after a process that
 * was killed can still do it. It lies under /run, which is as short-lived as the kernel's own state.
 */
export type Journal = {
  readonly entries: () => readonly Argv[];
  readonly add: (undos: readonly Argv[]) => void;
  readonly drop: (undos: readonly Argv[]) => void;
};

export const openJournal = (path: string): Journal => {
  const save = (entries: readonly Argv[]): void => {
    if (entries.length === 0) {
      rmSync(path, { force: true });
      return;
    }
    mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
    writeFileSync(`${path}.new`, JSON.stringify(entries), { mode: 0o600 });
    renameSync(`${path}.new`, path);
  };
  const entries = readEntries(path);
  // What cannot be read is of no use to anybody.
  if (entries.length === 0) rmSync(path, { force: true });
  return createJournal(entries, save);
};

/** A journal for changes that are to stay once all of them are made. */
export const memoryJournal = (): Journal => createJournal([], () => {});

const createJournal = (initial: readonly Argv[], save: (entries: readonly Argv[]) => void): Journal => {
  // What a predecessor did and this process does again is to be taken back once.
  const entries = new Map(initial.map((undo) => [keyOf(undo), undo]));
  const saveIf = (changed: boolean): void => {
    if (changed) save([...entries.values()]);
  };
  return {
    entries: () => [...entries.values()],
    add: (undos) => {
      const added = undos.filter((undo) => !entries.has(keyOf(undo)));
      for (const undo of added) entries.set(keyOf(undo), undo);
      saveIf(added.length > 0);
    },
    drop: (undos) => saveIf(undos.filter((undo) => entries.delete(keyOf(undo))).length > 0),
  };
};

const keyOf = (undo: Argv): string => JSON.stringify(undo);

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
