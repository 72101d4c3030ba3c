import { spawn } from "node:child_process";
import { once } from "node:events";
import { defaultSearchPath, type Namespace } from "../../support/namespace.ts";
import { repository } from "../../support/repository.ts";
import { type Environment, type SiteProcess, startProcess } from "../../support/site-process.ts";

/**
 * A host of containers of its own, as far as its network, its processes, /run and what podman keeps are concerned.
 * `docker` and `kubectl` are those of `programs`. Whatever runs there ends with it, and nothing stays.
 */
export type ContainerHost = AsyncDisposable & {
  /** Runs a script in the repository and gives its stdout; rejects, with all that was said, when it fails. */
  readonly run: (script: string, environment?: Environment) => Promise<string>;
  readonly start: (script: string, environment?: Environment) => SiteProcess;
  /** What a container has said and will say. */
  readonly logs: (container: string) => SiteProcess;
};

/** In the network of `site`, or in a new one. */
export const openContainerHost = async (site?: Namespace): Promise<ContainerHost> => {
  const network = site === undefined ? ["unshare", "--net"] : ["nsenter", `--net=/proc/${site.pid}/ns/net`];
  const [program = "", ...words] = [...network, ...apart, "bash", "-euc", furnish];
  const holder = spawn(program, words, { stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(holder, "close");
  await Promise.race([once(holder.stdout, "data"), ended]);
  if (holder.exitCode !== null) throw new Error("cannot make a host of containers");
  const pidNamespace = `/proc/${holder.pid}/ns/pid_for_children`;
  const inside = [`--target=${holder.pid}`, "--net", "--mount", `--pid=${pidNamespace}`];
  const start: ContainerHost["start"] = (script, environment = {}) =>
    startProcess({
      label: script.trim(),
      argv: ["nsenter", ...inside, "bash", "--norc", "-euc", `cd '${repository}'\n${script}`],
      environment: { PATH: searchPath, HOME: "/root", LC_ALL: "C", ...environment },
      testimony: () => "",
    });
  return {
    start,
    logs: (container) => start(`podman logs --follow ${container} 2>&1`),
    run: async (script, environment) => {
      const running = start(script, environment);
      const { exitCode } = await running.exited;
      if (exitCode !== 0) throw new Error(`${running.label}\nended with ${exitCode}\n${running.output()}`);
      return running.stdout();
    },
    [Symbol.asyncDispose]: async () => {
      // With the first process of a PID namespace ends every other (pid_namespaces(7)).
      holder.kill("SIGKILL");
      await ended;
    },
  };
};

const apart = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"];

/** A shell that waits also buries the orphans which the first process inherits. */
const furnish = `
mkdir -p /etc/cni/net.d /var/lib/cni
for place in /run /var/lib/containers /etc/cni/net.d /var/lib/cni; do mount -t tmpfs tmpfs "$place"; done
ip link set lo up
echo ready
sleep infinity &
wait
`;

const searchPath = `${repository}/test/image/support/programs:${repository}/node_modules/.bin:${defaultSearchPath}`;
