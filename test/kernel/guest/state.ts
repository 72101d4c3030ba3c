import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";

/**
 * What a scenario can leave behind outside of its own namespaces: facts, each a line for people.
 * Loaded modules are no part of it, because not all can be unloaded; a scenario that minds is a `*.boot.test.ts`.
 */
export type State = ReadonlySet<string>;

export const readState = async (): Promise<State> =>
  new Set([...processes(), ...mounts(), ...settings(), ...(await network())]);

/** What differs once the state had ten seconds to become `clean` again: a process that was told to end needs a moment. */
export const leftovers = async (clean: State): Promise<readonly string[]> => {
  const end = Date.now() + 10_000;
  for (;;) {
    const found = differences(clean, await readState());
    if (found.length === 0 || Date.now() > end) return found;
    await pause(100);
  }
};

const differences = (clean: State, now: State): readonly string[] => [
  ...now.difference(clean),
  ...[...clean.difference(now)].map((fact) => `(missing) ${fact}`),
];

/** Kernel threads and zombies have no command line. */
const processes = (): readonly string[] =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => [pid, readIfThere(`/proc/${pid}/cmdline`).replaceAll("\0", " ").trim()] as const)
    .filter(([, command]) => command !== "")
    .map(([pid, command]) => `process ${pid}: ${command}`);

/** The fifth column of mountinfo is the place (proc(5)). Named network namespaces are mounts below /run/netns. */
const mounts = (): readonly string[] =>
  readFileSync("/proc/self/mountinfo", "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => `mount ${line.split(" ")[4]}`);

const settings = (): readonly string[] =>
  ["ipv4/conf/all", "ipv4/conf/default", "ipv6/conf/all", "ipv6/conf/default"].flatMap((folder) =>
    readdirSync(`/proc/sys/net/${folder}`).map((name) => {
      const path = `net/${folder}/${name}`;
      return `setting ${path} = ${readIfThere(`/proc/sys/${path}`).trim()}`;
    }),
  );

const network = async (): Promise<readonly string[]> => {
  const modules = readFileSync("/proc/modules", "utf8");
  // Asking for XFRM or nftables state would itself load the module.
  const xfrm = /^xfrm_user /m.test(modules) ? ["xfrm state", "xfrm policy"] : [];
  const routing = ["rule", "route show table all"];
  const answers = await Promise.all([
    lines("ip", ["-oneline", "-batch", "-"], ["link", "address", ...routing, ...xfrm].join("\n")),
    lines("ip", ["-6", "-oneline", "-batch", "-"], routing.join("\n")),
    /^nf_tables /m.test(modules) ? lines("nft", ["list", "ruleset"], "") : [],
  ]);
  return answers.flat();
};

const lines = async (program: string, argv: readonly string[], input: string): Promise<readonly string[]> => {
  const output = await new Promise<string>((resolve, reject) => {
    const child = execFile(program, argv, (error, stdout) => (error ? reject(error) : resolve(stdout)));
    child.stdin?.end(input);
  });
  return output
    .split("\n")
    .filter((line) => line.trim() !== "" && !madeByModules.test(line))
    .map((line) => `${program}: ${line.trim()}`);
};

/** Devices that a module makes in the first namespace as it loads, and that stay as long as it is loaded. */
const madeByModules =
  /^\d+: (ip_vti0|ip6_vti0|tunl0|ip6tnl0|sit0|gre0|gretap0|erspan0|ip6gre0|dummy0|ifb[01]|bond0)\b/;

const readIfThere = (path: string): string => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
};
