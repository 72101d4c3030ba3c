import { execa } from "execa";

/** Arguments for QEMU, best first. KVM is there only if a virtual processor can really be made: the device file alone proves nothing. */
export const accelerators = async (qemu: string): Promise<readonly (readonly string[])[]> => {
  const attempt = await execa(
    qemu,
    [...kvm, "-machine", machineType, "-nodefaults", "-display", "none", "-S", "-monitor", "stdio"],
    { input: "quit\n", reject: false, timeout: 10_000 },
  );
  return attempt.exitCode === 0 ? [kvm, emulation] : [emulation];
};

export const machineType = process.arch === "arm64" ? "virt" : "q35";

const kvm = ["-accel", "kvm", "-cpu", "host"];

const emulation = ["-accel", "tcg,thread=multi", "-cpu", "max"];
