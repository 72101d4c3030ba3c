import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { styleText } from "node:util";
import type { Backend } from "../backend/backend.ts";
import { backends } from "../backend/backends.ts";
import type { ConfigFile } from "../backend/config-file.ts";
import { renderFiles } from "../backend/files.ts";
import { type ExitCode, exitCodes, Failure } from "../failure.ts";
import { type Dataplane, onDataplane } from "../gateway/dataplane.ts";
import { buildGateway } from "../gateway/from-settings.ts";
import type { Gateway } from "../gateway/gateway.ts";
import { planDiscardPolicies } from "../host/discard-policies.ts";
import type { InterfaceState } from "../host/inspect-interface.ts";
import { planPacketRules } from "../host/packet-rules.ts";
import { hostRouteCommand, someDefaultRoute } from "../host/plan.ts";
import { planVirtualInterface } from "../host/plan-virtual-interface.ts";
import { pasteable, pasteableStep } from "../host/step.ts";
import { loadTemplates } from "../load-templates.ts";
import type { Context } from "./context.ts";
import { loadSettings } from "./load-settings.ts";
import { printProblems } from "./print-problems.ts";

export type RenderCommandOptions = {
  readonly showSecrets?: boolean;
  readonly outputDir?: string;
  readonly json?: boolean;
};

/**
 * Shows what `run` would write and execute, touching nothing. The data plane is the one that is asked for, and the
 * kernel for `auto`: which of them works is known only where the gateway will run.
 */
export const render = async (context: Context, options: RenderCommandOptions): Promise<ExitCode> => {
  const { settings, warnings } = await loadSettings(context.environment, "gateway");
  const dataplane: Dataplane = settings.gateway.IPSEC_DATAPLANE === "userspace" ? "userspace" : "kernel";
  const gateway = onDataplane(buildGateway(settings), dataplane);
  const backend = backends[settings.gateway.IPSEC_BACKEND];
  const files = renderFiles(backend, gateway, {
    templates: loadTemplates(),
    dataplane,
    manualCharon: settings.gateway.IPSEC_MANUAL_CHARON,
    showSecrets: options.showSecrets === true,
  });
  printProblems("warning", warnings, context.stderr);
  const commands = plannedCommands(backend, dataplane, gateway);
  if (options.outputDir !== undefined) writeInto(options.outputDir, files, context);
  else if (options.json)
    context.stdout.write(`${JSON.stringify({ dataplane, files: files.map(describe), commands }, null, 2)}\n`);
  else print(files, commands, context);
  return exitCodes.ok;
};

const describe = ({ path, mode, text }: ConfigFile) => ({ path, mode: modeText(mode), text });

const modeText = (mode: number): string => `0${mode.toString(8)}`;

/** Commands of `init` and `run` whose words are known before the host is seen; routes name what is found there. */
const plannedCommands = (
  { daemon }: Backend,
  dataplane: Dataplane,
  gateway: Gateway,
): readonly PlannedCommand[] => [
  ...gateway.virtualInterfaces
    .flatMap((wanted) => planVirtualInterface(wanted, untouched))
    .map(({ argv }) => ({ when: "init" as const, command: pasteable(argv) })),
  ...planDiscardPolicies(dataplane, gateway).map(({ argv }) => ({
    when: "run" as const,
    command: pasteable(argv),
  })),
  ...planPacketRules(dataplane, gateway).map((step) => ({
    when: "run" as const,
    command: pasteableStep(step),
  })),
  ...gateway.hostRoutes.map((route) => ({
    when: "run" as const,
    command: pasteable(hostRouteCommand(route)),
  })),
  { when: "run", command: pasteable(daemon.command) },
];

/** A host that has nothing yet but a way out. */
const untouched: InterfaceState = {
  addresses: [],
  routes: [],
  sysctls: new Map(),
  modules: new Set(),
  mainRoutes: (["ipv4", "ipv6"] as const).map(someDefaultRoute),
};

type PlannedCommand = { readonly when: "init" | "run"; readonly command: string };

const print = (
  files: readonly ConfigFile[],
  commands: readonly PlannedCommand[],
  { stdout }: Context,
): void => {
  const heading = (text: string): string =>
    stdout.hasColors ? styleText("bold", text, { validateStream: false }) : text;
  for (const file of files)
    stdout.write(`${heading(`# ==> ${file.path} (mode ${modeText(file.mode)}) <==`)}\n${file.text}\n`);
  stdout.write(`${heading("# ==> commands <==")}\n`);
  for (const { when, command } of commands) stdout.write(`# ${when}\n${command}\n`);
};

const writeInto = (directory: string, files: readonly ConfigFile[], { stderr }: Context): void => {
  for (const file of files) {
    const path = join(directory, file.path);
    try {
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, file.text, { mode: file.mode });
      // The mode of writeFile is for new files only.
      chmodSync(path, file.mode);
    } catch (error) {
      const message = `${path} cannot be written: ${(error as NodeJS.ErrnoException).code}`;
      throw new Failure([{ message, hint: "check the directory of --output-dir" }], exitCodes.inputOutput, {
        cause: error,
      });
    }
    stderr.write(`wrote ${path}\n`);
  }
};
