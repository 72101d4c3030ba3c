import { execa } from "execa";
import type { Kernel } from "./kernel-package.ts";

/** QEMU's program for the processor of this host. */
export const qemu = process.arch === "arm64" ? "qemu-system-aarch64" : "qemu-system-x86_64";

export const machineType = process.arch === "arm64" ? "virt" : "q35";

/** Arguments for QEMU: KVM where this kernel runs under it, emulation elsewhere. Found out once in a process. */
export const chooseAccelerator = (kernel: Kernel): Promise<readonly string[]> => {
  choice ??= runsUnderKvm(kernel).then((runs) => (runs ? kvm : emulation));
  return choice;
};

let choice: Promise<readonly string[]> | undefined;

const kvm = ["-accel", "kvm", "-cpu", "host"];

/** Without `erms` the guest's kernel copies and clears memory by words, of which fewer are emulated than of bytes. */
const emulation = ["-accel", "tcg,thread=multi", "-cpu", process.arch === "arm64" ? "max" : "max,-erms"];

/**
 * The device file proves nothing, nor does a virtual processor that can be made: some hypervisors have both, and run only
 * kernels that know them. A kernel without a root panics within a second, and with `panic=-1 -no-reboot` QEMU ends then.
 */
const runsUnderKvm = async ({ image }: Kernel): Promise<boolean> => {
  const machine = ["-machine", machineType, "-m", "512M", "-nodefaults", "-no-user-config", "-no-reboot"];
  const boot = ["-display", "none", "-nic", "none", "-kernel", image, "-append", "panic=-1"];
  // Asked to end, QEMU would end with 0.
  const limit = { timeout: 10_000, killSignal: "SIGKILL" } as const;
  const { exitCode } = await execa(qemu, [...kvm, ...machine, ...boot], { reject: false, ...limit });
  return exitCode === 0;
};
