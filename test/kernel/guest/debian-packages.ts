import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";

export type Unpacking = {
  /** As `apt-get download` takes them. */
  readonly packages: readonly string[];
  readonly cache: string;
  /** The folder below the cache that all of them are unpacked into. */
  readonly name: string;
  /** What else is done to the folder before anybody sees it. */
  readonly finish?: (folder: string) => Promise<void>;
};

/**
 * Packages of Debian that are not installed, since they exclude what is or belong to another machine: fetched by apt and
 * unpacked. Resolves with the folder, which appears as a whole or not at all. Throws when apt cannot deliver.
 */
export const unpackPackages = async ({ packages, cache, name, finish }: Unpacking): Promise<string> => {
  const folder = join(cache, name);
  await mkdir(cache, { recursive: true });
  const work = await mkdtemp(join(cache, "download-"));
  try {
    await execa("apt-get", ["download", ...packages], { cwd: work });
    const archives = (await readdir(work)).filter((file) => file.endsWith(".deb"));
    if (archives.length < packages.length)
      throw new Error(`apt-get download ${packages.join(" ")} left only: ${archives.join(", ")}`);
    const unpacked = join(work, "unpacked");
    for (const archive of archives) await execa("dpkg", ["-x", join(work, archive), unpacked]);
    await finish?.(unpacked);
    // Somebody else may have been faster.
    await rename(unpacked, folder).catch((error) => {
      if (!existsSync(folder)) throw error;
    });
    return folder;
  } finally {
    await rm(work, { recursive: true });
  }
};
