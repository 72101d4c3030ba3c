import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { unpackPackages } from "./debian-packages.ts";

/** An unpacked kernel package of Debian. */
export type Kernel = {
  /** As `uname -r` says it. */
  readonly release: string;
  readonly image: string;
  /** `lib/modules/<release>`, with `modules.dep`. */
  readonly modules: string;
};

/**
 * Debian's cloud kernel, unpacked below `cache`. What is there is used as it is; an empty cache fetches today's, so
 * deleting the folder is the update. Throws when apt cannot deliver.
 */
export const obtainKernel = async (cache: string): Promise<Kernel> => {
  await mkdir(cache, { recursive: true });
  return (await cachedKernel(cache)) ?? (await downloadKernel(cache));
};

const cachedKernel = async (cache: string): Promise<Kernel | undefined> => {
  const folders = (await readdir(cache)).filter((name) => name.startsWith("linux-image-")).sort();
  const folder = folders.at(-1);
  return folder === undefined ? undefined : describeKernel(join(cache, folder));
};

const describeKernel = async (folder: string): Promise<Kernel> => {
  const [release] = await readdir(join(folder, "lib/modules"));
  if (release === undefined)
    throw new Error(`${folder} holds no kernel modules; delete it to fetch it again`);
  return {
    release,
    image: join(folder, `boot/vmlinuz-${release}`),
    modules: join(folder, "lib/modules", release),
  };
};

const downloadKernel = async (cache: string): Promise<Kernel> => {
  const name = await packageName();
  const finish = async (unpacked: string): Promise<void> => {
    const { release } = await describeKernel(unpacked);
    await execa("depmod", ["--basedir", unpacked, release]);
  };
  return describeKernel(await unpackPackages({ packages: [name], cache, name, finish }));
};

/** `linux-image-cloud-amd64` is a name for the kernel of the day: it depends on the package that has it. */
const packageName = async (): Promise<string> => {
  const metapackage = process.arch === "arm64" ? "linux-image-cloud-arm64" : "linux-image-cloud-amd64";
  const { stdout } = await execa("apt-cache", ["depends", metapackage], { reject: false });
  const name = /^ *Depends: (linux-image-\S+)$/m.exec(stdout)?.[1];
  if (name !== undefined) return name;
  throw new Error(
    `apt knows no ${metapackage}: the kernel tier needs Debian's package lists (apt-get update)`,
  );
};
