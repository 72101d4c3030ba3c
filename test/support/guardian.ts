import { spawn } from "node:child_process";
import { once } from "node:events";
import type { Socket } from "node:net";

/**
 * Ends everything in a lab's network and mount namespaces: when the lab is destroyed, and equally when the test process dies
 * by SIGKILL, for its end of the pipe closes by itself.
 * Needed beside PR_SET_PDEATHSIG, which covers what the test process starts but not what those start in turn (charon).
 */
export type Guardian = {
  /** Adds the namespaces of this process to what is ended; resolves when that is certain. */
  readonly watch: (pid: number) => Promise<void>;
  /** Ends everything; fails, naming them, when processes survive SIGKILL for five seconds. */
  readonly finish: () => Promise<void>;
};

// An open descriptor keeps each namespace, and so its inode number, from being given to somebody else's.
const script = `
trap '' HUP INT TERM PIPE
namespaces=()
while read -r pid; do
  exec {net}</proc/$pid/ns/net {mount}</proc/$pid/ns/mnt && namespaces+=($net $mount) && echo "$pid"
done
for round in {1..500}; do
  survivors=
  for process in /proc/[0-9]*; do
    for descriptor in "\${namespaces[@]}"; do
      if [[ $process/ns/net -ef /proc/self/fd/$descriptor || $process/ns/mnt -ef /proc/self/fd/$descriptor ]]; then
        survivors+=" \${process#/proc/}"
        kill -KILL "\${process#/proc/}"
      fi
    done
  done 2>/dev/null
  [[ $survivors ]] || exit 0
  sleep 0.01
done
echo "these processes survive SIGKILL:$survivors" >&2
exit 1
`;

export const startGuardian = (): Guardian => {
  // Of its own session: a signal to the test's process group must not end it.
  const child = spawn("bash", ["--norc", "-c", script], { detached: true, stdio: ["pipe", "pipe", "pipe"] });
  const ended = once(child, "exit");
  const watched = new Set<string>();
  let waiting = 0;
  let complaints = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    for (const pid of chunk.split("\n")) {
      watched.add(pid);
    }
  });
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
    complaints += chunk;
  });
  // A test that forgets its lab still ends. Pipes to a child are sockets, though their type does not say so.
  child.unref();
  for (const stream of [child.stdin, child.stdout, child.stderr]) {
    (stream as unknown as Socket).unref();
  }

  return {
    watch: async (pid) => {
      child.stdin.write(`${pid}\n`);
      waiting += 1;
      child.ref();
      while (!watched.has(`${pid}`)) {
        await Promise.race([
          once(child.stdout, "data"),
          ended.then(() => Promise.reject(new Error(complaints))),
        ]);
      }
      waiting -= 1;
      if (waiting === 0) {
        child.unref();
      }
    },
    finish: async () => {
      child.ref();
      child.stdin.end();
      const [exitCode] = await ended;
      if (exitCode !== 0) {
        throw new Error(`the lab's guardian ended with ${exitCode}: ${complaints}`);
      }
    },
  };
};
