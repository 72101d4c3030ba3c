import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, normalize } from "node:path";
import { furnish } from "./furnish.ts";
import { repository } from "./repository.ts";
import { type Environment, type Exit, type SiteProcess, startProcess } from "./site-process.ts";

export type Argv = readonly [program: string, ...words: string[]];

export type ExecOptions = {
  readonly input?: string | Uint8Array;
  /** The whole environment of the program; without it, a search path and the C locale. */
  readonly env?: Environment;
  readonly timeoutMs?: number;
};

export type ExecResult = Exit & { readonly stdout: string; readonly stderr: string };

/**
 * A network namespace and a mount namespace with a private /run and /etc, kept by one idle process.
 * They have no name: they vanish with the last process in them, and nothing is left to clean up.
 * A person enters one with `nsenter --target <pid> --net --mount`.
 */
export type Namespace = {
  readonly name: string;
  /** The process that keeps the namespaces. */
  readonly pid: number;
  /** Runs to the end; an exit code other than 0 is for the caller to judge. Fails when the time is up. */
  readonly exec: (argv: Argv, options?: ExecOptions) => Promise<ExecResult>;
  /** Runs to the end and gives stdout; fails with everything said when the exit code is not 0. */
  readonly run: (argv: Argv, options?: ExecOptions) => Promise<string>;
  readonly spawn: (argv: Argv, options?: SpawnOptions) => SiteProcess;
  /** Writes below /etc or /run of this namespace, directories included. */
  readonly writeFile: (path: string, content: string | Uint8Array, mode?: number) => Promise<void>;
  readonly readFile: (path: string) => Promise<string>;
  /** By which path the test process itself reaches one below /etc or /run of this namespace. */
  readonly fromOutside: (path: string) => string;
};

export type SpawnOptions = {
  readonly input?: string | Uint8Array;
  readonly env?: Environment;
  /** How messages call the process; its argv without it. */
  readonly label?: string;
};

/** What a lab keeps of the lasting processes in it: told of each, it can say what all of them said. */
export type ProcessRegister = {
  readonly add: (process: SiteProcess) => void;
  readonly testimony: () => string;
};

export const defaultSearchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

export const openNamespace = async (
  name: string,
  { register, ipv6 }: { readonly register: ProcessRegister; readonly ipv6: boolean },
): Promise<Namespace> => {
  const pid = await startHolder(`vnf-ipsec-lab-${process.pid}-${name}`, ipv6);

  const start: Namespace["spawn"] = (argv, { input, env, label = argv.join(" ") } = {}) =>
    startProcess({
      label: `${name}: ${label}`,
      argv: [...entering(pid), ...argv],
      environment: env ?? { PATH: defaultSearchPath, LC_ALL: "C" },
      testimony: register.testimony,
      ...(input === undefined ? {} : { input }),
    });

  const exec: Namespace["exec"] = async (argv, { timeoutMs = 60_000, ...options } = {}) => {
    const running = start(argv, options);
    let late = false;
    const limit = setTimeout(() => {
      late = true;
      running.signal("SIGKILL");
    }, timeoutMs);
    const exit = await running.exited.finally(() => clearTimeout(limit));
    if (late) {
      throw new Error(`${running.label} did not end within ${timeoutMs} ms\n${register.testimony()}`);
    }
    return { stdout: running.stdout(), stderr: running.stderr(), ...exit };
  };

  const fromOutside = (path: string) => `/proc/${pid}/root${privatePath(path)}`;

  return {
    name,
    pid,
    spawn: (argv, options) => {
      const started = start(argv, options);
      register.add(started);
      return started;
    },
    exec,
    run: async (argv, options) => {
      const { stdout, stderr, exitCode, signal } = await exec(argv, options);
      if (exitCode !== 0) {
        throw new Error(`${name}: ${argv.join(" ")} ended with ${signal ?? exitCode}\n${stdout}${stderr}`);
      }
      return stdout;
    },
    writeFile: async (path, content, mode = 0o644) => {
      const target = fromOutside(path);
      await mkdir(dirname(target), { recursive: true });
      await writeFile(target, content, { mode });
      // A file that was there before keeps its mode otherwise.
      await chmod(target, mode);
    },
    readFile: (path) => readFile(fromOutside(path), "utf8"),
    fromOutside,
  };
};

const startHolder = async (title: string, ipv6: boolean): Promise<number> => {
  const words = [title, repository, ipv6 ? "ipv6" : "ipv4-only"];
  const child = spawn(
    "/usr/bin/setpriv",
    ["--pdeathsig=KILL", "unshare", "--net", "--mount", "bash", "-c", furnish, ...words],
    { stdio: ["ignore", "pipe", "pipe"] },
  );
  let complaints = "";
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
    complaints += chunk;
  });
  child.stdout.setEncoding("utf8");
  const [first] = await Promise.race([once(child.stdout, "data"), once(child, "close")]);
  if (first !== "ready\n" || child.pid === undefined) {
    throw new Error(`cannot make the namespaces of ${title}, which takes root: ${complaints}`);
  }
  // From here on the process matters, not its streams, and it must not keep the test process alive.
  child.stdout.destroy();
  child.stderr.destroy();
  child.unref();
  return child.pid;
};

/** nsenter does not fork where it enters no PID namespace, so the process id stays that of the program. */
const entering = (pid: number): Argv => [
  "/usr/bin/nsenter",
  `--target=${pid}`,
  "--net",
  "--mount",
  `--wdns=${repository}`,
  "--",
  "/usr/bin/setpriv",
  "--pdeathsig=KILL",
  "--",
];

/** Elsewhere the file system is the host's; and an absolute symbolic link would lead the test process to the host's /run. */
const privatePath = (path: string): string => {
  const plain = normalize(path).replace(/^\/var\/run\//, "/run/");
  if (!/^\/(etc|run)\//.test(plain)) {
    throw new Error(`only /etc and /run are private to a site of the lab, not ${path}`);
  }
  return plain;
};
