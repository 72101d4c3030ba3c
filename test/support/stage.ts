import { dirname } from "node:path";
import process from "node:process";
import { commandWords } from "./command.ts";
import { startGuardian } from "./guardian.ts";
import { type Namespace, openNamespace } from "./namespace.ts";
import type { Environment, SiteProcess } from "./site-process.ts";

/**
 * Network and mount namespaces of their own in which programs are played by scripts. Each script is recorded with its
 * words and its environment before it does anything; no other program than these and `node` is on the search path.
 */
export type Stage = {
  readonly namespace: Namespace;
  /** Our command, `run` unless `args` says another. */
  readonly run: (
    environment: Environment,
    options?: { readonly through?: readonly string[]; readonly args?: readonly string[] },
  ) => SiteProcess;
  /** What the scripts were called with so far: the words, and the environment as `NAME=value`. */
  readonly calls: () => Promise<readonly Call[]>;
  readonly [Symbol.asyncDispose]: () => Promise<void>;
};

export type Call = { readonly argv: readonly string[]; readonly environment: readonly string[] };

/** `scripts` are bodies of bash scripts by the program's name, without any program but bash's own commands. */
export const openStage = async (scripts: Readonly<Record<string, string>>): Promise<Stage> => {
  const guardian = startGuardian();
  const processes: SiteProcess[] = [];
  const namespace = await openNamespace("stage", {
    ipv6: false,
    register: {
      add: (one) => processes.push(one),
      testimony: () => processes.map((one) => one.output()).join("\n"),
    },
  });
  await guardian.watch(namespace.pid);
  for (const [name, body] of Object.entries(scripts)) {
    await namespace.writeFile(`/run/stage/${name}`, `#!/bin/bash\n${record}\n${body}\n`, 0o755);
  }
  await namespace.writeFile("/run/stage-calls", "", 0o666);
  const nodeDirectory = dirname(process.execPath);
  return {
    namespace,
    run: (environment, { through = [], args = ["run"] } = {}) =>
      namespace.spawn(["/usr/bin/env", "--", ...through, ...commandWords(), ...args], {
        env: { PATH: `/run/stage:${nodeDirectory}`, ...environment },
        label: args.join(" "),
      }),
    calls: async () =>
      (await namespace.readFile("/run/stage-calls")).split("\u0002").slice(0, -1).map(parseCall),
    [Symbol.asyncDispose]: () => guardian.finish(),
  };
};

/** In one piece, since several may run at once. */
const record = `mapfile -d '' environment < /proc/$$/environ
printf -v words '%s\\001' "\${0##*/}" "$@"
printf -v assignments '%s\\001' "\${environment[@]}"
printf '%s\\003%s\\002' "$words" "$assignments" >> /run/stage-calls`;

const parseCall = (text: string): Call => {
  const [argv = "", environment = ""] = text.split("\u0003");
  return { argv: argv.split("\u0001").slice(0, -1), environment: environment.split("\u0001").slice(0, -1) };
};
