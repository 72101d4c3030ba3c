import { accessSync, closeSync, constants, openSync } from "node:fs";
import { exitCodes, Failure } from "../failure.ts";
import type { Dataplane } from "../gateway/dataplane.ts";
import type { RunProgram } from "./run-program.ts";

export type ChosenDataplane = {
  readonly dataplane: Dataplane;
  /** Why it is not the kernel, where that was not asked for. */
  readonly reason?: string;
};

/**
 * Decides where ESP is done. The kernel's ability is tried, not guessed from names of modules, which say nothing
 * about what is built in or cannot be loaded.
 */
export const chooseDataplane = async (
  wanted: Dataplane | "auto",
  /** The variable, if any, that cannot do without the kernel. */
  needsKernel: string | undefined,
  runProgram: RunProgram,
): Promise<ChosenDataplane> => {
  if (wanted === "userspace") {
    const trouble = userspaceTrouble();
    if (trouble !== undefined)
      throw unavailable(`IPSEC_DATAPLANE=userspace cannot be had: ${trouble}`, userspaceRemedy);
    return { dataplane: "userspace" };
  }
  const kernelTrouble = await probeKernel(runProgram);
  if (kernelTrouble === undefined) return { dataplane: "kernel" };
  if (/not permitted/i.test(kernelTrouble)) {
    throw new Failure(
      [
        {
          message: `the kernel refuses IPsec: ${kernelTrouble}`,
          hint: "run with --cap-add NET_ADMIN, or --privileged",
        },
      ],
      exitCodes.permission,
    );
  }
  const remedy =
    "load the modules esp4 and xfrm_user (mount /lib/modules and run init --privileged, or modprobe them on the host)";
  if (wanted === "kernel")
    throw unavailable(`IPSEC_DATAPLANE=kernel cannot be had: ${kernelTrouble}`, remedy);
  if (needsKernel !== undefined)
    throw unavailable(`${needsKernel} needs ESP in the kernel: ${kernelTrouble}`, remedy);
  const trouble = userspaceTrouble();
  if (trouble !== undefined) {
    throw unavailable(
      `ESP works neither in the kernel (${kernelTrouble}) nor in user space (${trouble})`,
      `${remedy}, or ${userspaceRemedy}`,
    );
  }
  return { dataplane: "userspace", reason: kernelTrouble };
};

const userspaceRemedy =
  "give the container /dev/net/tun (--device /dev/net/tun) and strongSwan's kernel-libipsec plugin";

/** Where distributions put strongSwan's plugins; both Debian and Alpine use the first. */
const pluginDirectories = [
  "/usr/lib/ipsec/plugins",
  "/usr/lib/strongswan/plugins",
  "/usr/libexec/ipsec/plugins",
];

const userspaceTrouble = (): string | undefined => {
  if (!pluginDirectories.some((directory) => isReadable(`${directory}/libstrongswan-kernel-libipsec.so`))) {
    return "strongSwan's kernel-libipsec plugin is not installed";
  }
  try {
    closeSync(openSync("/dev/net/tun", "r+"));
    return undefined;
  } catch (error) {
    return `/dev/net/tun: ${(error as NodeJS.ErrnoException).code}`;
  }
};

const isReadable = (path: string): boolean => {
  try {
    accessSync(path, constants.R_OK);
    return true;
  } catch {
    return false;
  }
};

/**
 * Asks the kernel for an ESP SA between two documentation addresses (RFC 5737) and takes it away again.
 * Without a policy it carries nothing. A kernel that may load modules does so now.
 * The time limit makes it vanish even if this process is killed in between.
 */
const probeKernel = async (runProgram: RunProgram): Promise<string | undefined> => {
  const id = ["src", "192.0.2.254", "dst", "203.0.113.254", "proto", "esp", "spi", "0x000000ff"] as const;
  const added = await runProgram([
    "ip",
    "xfrm",
    "state",
    "add",
    ...id,
    "mode",
    "tunnel",
    "enc",
    "cbc(aes)",
    `0x${"00".repeat(16)}`,
    "auth-trunc",
    "hmac(sha256)",
    `0x${"00".repeat(32)}`,
    "128",
    "limit",
    "time-hard",
    "2",
  ]);
  // A probe that was killed a moment ago may still be there.
  if (added.exitCode !== 0 && !/File exists/.test(added.stderr))
    return withoutPrefix(added.stderr) || `ip xfrm ended with ${added.exitCode}`;
  await runProgram(["ip", "xfrm", "state", "delete", ...id]);
  return undefined;
};

/** iproute2 begins what the kernel explains with this word, and only that. */
const withoutPrefix = (stderr: string): string => stderr.trim().replace(/^Error: /, "");

const unavailable = (message: string, hint: string): Failure =>
  new Failure([{ variable: "IPSEC_DATAPLANE", message, hint }], exitCodes.unavailable);
