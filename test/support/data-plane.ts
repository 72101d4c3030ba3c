import { execFile } from "node:child_process";
import { promisify } from "node:util";

/** Where ESP runs: in Linux, or in strongSwan's kernel-libipsec. The words are those of IPSEC_DATAPLANE. */
export type DataPlane = "kernel" | "userspace";

let answer: Promise<DataPlane> | undefined;

/** Asks the kernel, once a process, to hold an ESP state, in a namespace that ends with the question. */
export const detectDataPlane = (): Promise<DataPlane> => {
  answer ??= promisify(execFile)("unshare", ["--net", "ip", ...espState]).then(
    () => "kernel",
    () => "userspace",
  );
  return answer;
};

const espState = [
  ...["xfrm", "state", "add", "src", "192.0.2.1", "dst", "192.0.2.2", "proto", "esp", "spi", "0x100"],
  ...["mode", "tunnel", "aead", "rfc4106(gcm(aes))", "0x000102030405060708090a0b0c0d0e0f10111213", "128"],
];
