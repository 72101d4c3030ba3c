import { type ChildProcess, type StdioOptions, spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { chooseAccelerator, machineType, qemu } from "./accelerator.ts";
import type { Kernel } from "./kernel-package.ts";
import { portName } from "./protocol.ts";

export type MachineParts = {
  readonly kernel: Kernel;
  readonly initramfs: string;
  /** A folder for sockets. */
  readonly folder: string;
  /** The socket that the guest's port is connected to; QEMU is the client. Absent for a guest with a shell. */
  readonly portSocket?: string;
};

/**
 * Starts QEMU over the host's root; the serial console is QEMU's standard input and output.
 * It dies with this process, whatever ends that. Throws when virtiofsd does not start.
 */
export const startMachine = async (parts: MachineParts, stdio: StdioOptions): Promise<ChildProcess> => {
  const accelerator = await chooseAccelerator(parts.kernel);
  const rootSocket = join(parts.folder, "root.socket");
  const server = await serveRoot(rootSocket);
  const argv = [qemu, ...processor(accelerator), ...boot(parts), ...root(rootSocket), ...port(parts)];
  const machine = spawn("setpriv", ["--pdeathsig", "KILL", ...argv], { stdio });
  // It ends by itself when QEMU goes, but waits forever for a QEMU that never came.
  machine.once("close", () => server.kill());
  return machine;
};

/** Resolves when virtiofsd waits for QEMU. */
const serveRoot = async (socket: string): Promise<ChildProcess> => {
  const argv = ["--mount", "sh", shareRoot, "/mnt", socket];
  const server = spawn("unshare", argv, { stdio: ["ignore", "ignore", "pipe"] });
  const said: string[] = [];
  await new Promise<void>((resolve, reject) => {
    const lines = createInterface({ input: server.stderr });
    lines.on("line", (line) => {
      said.push(line);
      // The socket listens from here on (QEMU 7.2: tools/virtiofsd/fuse_virtio.c, virtio_session_mount).
      if (/waiting for vhost-user socket connection/i.test(line)) resolve();
    });
    lines.on("close", () => reject(new Error(`virtiofsd did not start:\n${said.join("\n")}`)));
  });
  return server;
};

const shareRoot = join(import.meta.dirname, "share-root.sh");

/** Virtiofs needs memory that virtiofsd can map. It is taken as the guest uses it. */
const processor = (accelerator: readonly string[]): readonly string[] => [
  ...["-machine", `${machineType},memory-backend=memory`, ...accelerator, "-smp", "2", "-m", memory],
  ...["-object", `memory-backend-memfd,id=memory,size=${memory},share=on`],
];

const memory = "3G";

const boot = ({ kernel, initramfs, portSocket }: MachineParts): readonly string[] => [
  ...["-nodefaults", "-no-user-config", "-nographic", "-no-reboot", "-nic", "none"],
  // With QEMU's monitor on the same terminal, Ctrl-C goes to the guest and Ctrl-A X ends it.
  ...["-serial", portSocket === undefined ? "mon:stdio" : "stdio"],
  ...["-kernel", kernel.image, "-initrd", initramfs],
  ...["-append", `console=${console} panic=-1 loglevel=4 ${clock}`],
];

/** Emulated processors count alike, but slowly enough for the kernel to mistrust them and take the far slower HPET. */
const clock = process.arch === "arm64" ? "" : "tsc=reliable";

const console = process.arch === "arm64" ? "ttyAMA0" : "ttyS0";

const root = (socket: string): readonly string[] => [
  ...["-chardev", `socket,id=root,path=${socket}`],
  ...["-device", "vhost-user-fs-pci,chardev=root,tag=root"],
];

const port = ({ portSocket }: MachineParts): readonly string[] =>
  portSocket === undefined
    ? []
    : [
        ...["-chardev", `socket,id=port,path=${portSocket}`, "-device", "virtio-serial-pci"],
        ...["-device", `virtserialport,chardev=port,name=${portName}`],
      ];
