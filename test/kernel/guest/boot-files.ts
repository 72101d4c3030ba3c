import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { repository } from "../../support/repository.ts";
import { buildInitramfs } from "./initramfs.ts";
import { type Kernel, obtainKernel } from "./kernel-package.ts";

/** What a boot needs on the host's disk; disposing of it removes the folder. */
export type BootFiles = AsyncDisposable & {
  /** Short, because paths of sockets end at 108 characters (unix(7)). */
  readonly folder: string;
  readonly kernel: Kernel;
  readonly initramfs: string;
};

/** `purpose` is for `enter.sh`: words divided by spaces. */
export const prepareBoot = async (purpose: string): Promise<BootFiles> => {
  if (process.getuid?.() !== 0)
    throw new Error("the kernel tier must run as root: its guest sees the host's files");
  await using scope = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), "vnf-ipsec-guest-"));
  scope.defer(() => rm(folder, { recursive: true }));
  const kernel = await obtainKernel(join(repository, ".cache/kernel"));
  const initramfs = await buildInitramfs(folder, kernel, { repository, modules: kernel.modules, purpose });
  const rest = scope.move();
  return { folder, kernel, initramfs, [Symbol.asyncDispose]: () => rest.disposeAsync() };
};
