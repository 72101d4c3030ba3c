import { existsSync, lstatSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { arch, release } from "node:os";
import { exitCodes, Failure, type Problem } from "../failure.ts";
import { readSysctl } from "../host/host-checks.ts";
import type { RunProgram } from "../host/run-program.ts";
import { type Argv, pasteable } from "../host/step.ts";

/** Throws when there is a file of that name, before anything is gathered. */
export const requireNoFile = (path: string): void => {
  if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) throw unwritable(path, "EEXIST");
};

/** Writes one JSON object that only its owner may read. What is there is never overwritten, nor a link followed. */
export const writeBundle = (path: string, text: string): void => {
  try {
    writeFileSync(path, text, { mode: 0o600, flag: "wx" });
  } catch (error) {
    throw unwritable(path, (error as NodeJS.ErrnoException).code ?? String(error));
  }
};

/** What a helper asks for besides the results, without a key: versions, addresses, routes, policies, sysctls. */
export const gatherHost = async (runProgram: RunProgram) => ({
  kernel: release(),
  architecture: arch(),
  commands: Object.fromEntries(
    await Promise.all(
      commands.map(async (argv) => {
        const { exitCode, stdout, stderr } = await runProgram(argv);
        return [pasteable(argv), { exitCode, stdout: withoutKeys(stdout), stderr }] as const;
      }),
    ),
  ),
  sysctls: Object.fromEntries(
    sysctlNames().flatMap((name) => {
      const value = readSysctl(name);
      return value === undefined ? [] : [[name.replaceAll("/", "."), value]];
    }),
  ),
  xfrmStatistics: readIfPresent("/proc/net/xfrm_stat"),
});

/** Connections that the operator mounts; their keys are in other files, which are left alone (ipsec.conf(5)). */
export const mountedFiles = (): readonly { readonly path: string; readonly text: string }[] => {
  const directory = "/etc/ipsec.config.d";
  const names = existsSync(directory) ? readdirSync(directory).filter((name) => name.endsWith(".conf")) : [];
  return ["/etc/ipsec.conf", ...names.map((name) => `${directory}/${name}`)].flatMap((path) => {
    const text = readIfPresent(path);
    return text === undefined ? [] : [{ path, text }];
  });
};

const commands: readonly Argv[] = [
  ["node", "--version"],
  ["ipsec", "--version"],
  ["ip", "-V"],
  ["ip", "-json", "-details", "link", "show"],
  ["ip", "-json", "address", "show"],
  ["ip", "-4", "-json", "rule", "show"],
  ["ip", "-6", "-json", "rule", "show"],
  ["ip", "-4", "-json", "route", "show", "table", "all"],
  ["ip", "-6", "-json", "route", "show", "table", "all"],
  ["ip", "xfrm", "policy", "list"],
  // Its JSON would show keys, for which there is no `nokeys`.
  ["ip", "xfrm", "state", "list", "nokeys"],
];

/** Keys of ip-xfrm(8) states, should an iproute2 not know `nokeys`. */
export const withoutKeys = (text: string): string =>
  text.replace(/^(\s*(?:enc|auth|auth-trunc|aead|comp) \S+ )(?:0x[0-9a-f]*|\S+)/gim, "$1***");

const sysctlNames = (): readonly string[] => {
  const interfaces = existsSync("/proc/sys/net/ipv4/conf") ? readdirSync("/proc/sys/net/ipv4/conf") : [];
  const settings = [
    "forwarding",
    "rp_filter",
    "send_redirects",
    "accept_redirects",
    "disable_policy",
    "disable_xfrm",
  ];
  return [
    "net/ipv4/ip_forward",
    "net/ipv6/conf/all/forwarding",
    "net/ipv4/ip_no_pmtu_disc",
    "net/ipv4/tcp_mtu_probing",
    "net/netfilter/nf_conntrack_max",
    "net/netfilter/nf_conntrack_count",
    ...interfaces.flatMap((name) => settings.map((setting) => `net/ipv4/conf/${name}/${setting}`)),
  ];
};

const readIfPresent = (path: string): string | undefined => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
};

const unwritable = (path: string, code: string): Failure => {
  const problem: Problem =
    code === "EEXIST"
      ? {
          message: `${path} is there already`,
          hint: "name another file, or remove it; nothing is overwritten",
        }
      : { message: `${path} cannot be written: ${code}`, hint: "check the directory and its permissions" };
  return new Failure([problem], exitCodes.inputOutput);
};
