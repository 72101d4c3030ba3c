import { closeSync, fstatSync, openSync, readdirSync, readFileSync, statSync } from "node:fs";

/** Who lives in the network and mount namespaces of some processes, these included. */
export type Inhabitants = {
  /** `<pid> <name>` of each process, zombies left out. */
  readonly list: () => readonly string[];
  readonly [Symbol.dispose]: () => void;
};

/** The namespaces are held open meanwhile: their inode numbers could go to others' otherwise. */
export const watchNamespaces = (pids: readonly number[]): Inhabitants => {
  const descriptors = pids.flatMap((pid) => kinds.map((kind) => openSync(`/proc/${pid}/ns/${kind}`, "r")));
  const inodes = new Set(descriptors.map((descriptor) => fstatSync(descriptor).ino));
  return {
    list: () =>
      readdirSync("/proc")
        .filter((entry) => /^\d+$/.test(entry))
        .filter((pid) => kinds.some((kind) => inodes.has(inodeOf(`/proc/${pid}/ns/${kind}`))))
        .map((pid) => `${pid} ${nameOf(pid)}`),
    [Symbol.dispose]: () => descriptors.forEach(closeSync),
  };
};

const kinds = ["net", "mnt"] as const;

/** 0 for a process that has ended meanwhile. */
const inodeOf = (path: string): number => {
  try {
    return statSync(path).ino;
  } catch {
    return 0;
  }
};

const nameOf = (pid: string): string => {
  try {
    return readFileSync(`/proc/${pid}/comm`, "utf8").trim();
  } catch {
    return "(ended)";
  }
};
