import { chmod, copyFile, cp, mkdir, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { execa } from "execa";
import type { Kernel } from "./kernel-package.ts";

/** What `init.sh` finds in `/guest`, a file each. */
export type Settings = {
  readonly repository: string;
  readonly modules: string;
  readonly purpose: string;
};

/** Writes a small initramfs to `folder` and returns its path: busybox, `init.sh`, and what mounting the host's root takes. */
export const buildInitramfs = async (folder: string, kernel: Kernel, settings: Settings): Promise<string> => {
  const tree = join(folder, "initramfs");
  for (const name of [
    "bin",
    "dev",
    "guest",
    "host",
    "modules",
    "proc",
    "repository",
    "root",
    "sys",
    "written",
  ])
    await mkdir(join(tree, name), { recursive: true });
  await copyFile("/bin/busybox", join(tree, "bin/busybox"));
  await execa("ln", ["-s", "busybox", join(tree, "bin/sh")]);
  await copyFile(join(import.meta.dirname, "init.sh"), join(tree, "init"));
  await chmod(join(tree, "init"), 0o755);
  for (const [name, text] of Object.entries(settings)) await writeFile(join(tree, "guest", name), text);
  for (const [index, module] of (await modulesInOrder(kernel)).entries())
    await cp(module, join(tree, "modules", `${String(index).padStart(2, "0")}-${basename(module)}`));
  return await pack(tree, join(folder, "initramfs.cpio"));
};

/** File names in the order in which `insmod` takes them. Features that are built in need none. */
const modulesInOrder = async (kernel: Kernel): Promise<readonly string[]> => {
  const base = kernel.modules.slice(0, -`/lib/modules/${kernel.release}`.length);
  const wanted = ["virtio_pci", "virtiofs", "overlay", "virtio_console"];
  const { stdout } = await execa("modprobe", [
    ...["--dirname", base, "--set-version", kernel.release, "--show-depends", "--all"],
    ...wanted,
  ]);
  return [...new Set(stdout.matchAll(/^insmod (.+?) *$/gm).map(([, path]) => path as string))];
};

const pack = async (tree: string, archive: string): Promise<string> => {
  const { stdout: names } = await execa("find", [".", "-print"], { cwd: tree });
  const options = ["--create", "--format=newc", "--quiet", "--file", archive];
  await execa("cpio", options, { cwd: tree, input: names });
  return archive;
};
