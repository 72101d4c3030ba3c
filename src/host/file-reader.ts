import { closeSync, openSync, readSync } from "node:fs";
import { type Problem, quoted } from "../failure.ts";
import type { Given } from "../settings/environment.ts";

/** What was read of each path that was tried: a copy of its content, or undefined where that was not possible. */
export type FilesRead = ReadonlyMap<string, Buffer | undefined>;

/** How the error shows the path, and what is to be done; without it, the whole path. */
export type Unread = { readonly shown: string; readonly hint: string };

/** Reads the files that the environment names, and keeps account of them and of what is wrong. */
export type FileReader = {
  /** Undefined, with an error kept, when it cannot be read. `label` is what names it, for people. */
  readonly read: (label: string, path: string, named?: Given, unread?: Unread) => Buffer | undefined;
  /** `named` is what is wrong; where it stands is kept with the problem. */
  readonly complain: (problem: Problem & { readonly named?: Given | undefined }) => void;
  readonly errors: Problem[];
  readonly files: FilesRead;
  /** Whether one of the errors is a file that could not be read. */
  readonly unreadable: () => boolean;
};

export const createFileReader = (): FileReader => {
  const errors: Problem[] = [];
  const files = new Map<string, Buffer | undefined>();
  let unreadable = false;
  const complain: FileReader["complain"] = ({ named, ...problem }) => {
    errors.push(named?.place === undefined ? problem : { ...problem, place: named.place });
  };
  return {
    read: (label, path, named, unread) => {
      files.set(path, undefined);
      try {
        const content = readBounded(path);
        files.set(path, Buffer.from(content));
        return content;
      } catch (error) {
        unreadable = true;
        const reason = (error as NodeJS.ErrnoException).code ?? (error as Error).message;
        complain({
          variable: label,
          message: `${unread?.shown ?? `${label}=${quoted(path)}`} cannot be read: ${reason}`,
          hint: unread?.hint ?? "check the path, its permissions, and that it is mounted into the container",
          named,
        });
        return undefined;
      }
    },
    complain,
    errors,
    files,
    unreadable: () => unreadable,
  };
};

/** More than any environment, key or file of connections needs: `/dev/zero` must not fill the memory. */
const maximumBytes = 4 * 1024 * 1024;

/** Throws where it cannot be read, or is too long. */
export const readBounded = (path: string): Buffer => {
  const descriptor = openSync(path, "r");
  try {
    let buffer = Buffer.alloc(64 * 1024);
    let length = 0;
    // A pipe, such as a shell's <(command), gives less than was asked for at a time.
    for (;;) {
      const count = readSync(descriptor, buffer, length, buffer.length - length, null);
      length += count;
      if (count === 0) return buffer.subarray(0, length);
      if (length > maximumBytes) throw new Error("it has more than 4 MiB");
      if (length === buffer.length) buffer = Buffer.concat([buffer, Buffer.alloc(buffer.length)]);
    }
  } finally {
    closeSync(descriptor);
  }
};
