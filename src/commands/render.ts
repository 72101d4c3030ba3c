import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { styleText } from "node:util";
import type { ConfigFile } from "../backend/config-file.ts";
import { renderFiles } from "../backend/stroke/files.ts";
import { revealedAsBase64 } from "../backend/stroke/render.ts";
import { type ExitCode, exitCodes, Failure } from "../failure.ts";
import type { Dataplane } from "../gateway/dataplane.ts";
import { onDataplane } from "../gateway/dataplane.ts";
import { buildGateway } from "../gateway/from-settings.ts";
import type { Gateway } from "../gateway/gateway.ts";
import { daemonCommand } from "../daemon/charon.ts";
import { pasteable } from "../host/step.ts";
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
export const render = (context: Context, options: RenderCommandOptions): ExitCode => {
  const { settings, warnings } = loadSettings(context.environment, "gateway");
  const dataplane: Dataplane = settings.gateway.IPSEC_DATAPLANE === "userspace" ? "userspace" : "kernel";
  const gateway = onDataplane(buildGateway(settings), dataplane);
  const showSecret = options.showSecrets ? { showSecret: revealedAsBase64 } : {};
  const files = renderFiles(gateway, {
    templates: loadTemplates(),
    dataplane,
    manualCharon: settings.gateway.IPSEC_MANUAL_CHARON,
    ...showSecret,
  });
  printProblems("warning", warnings, context.stderr);
  const commands = plannedCommands(gateway);
  if (options.outputDir !== undefined) writeInto(options.outputDir, files, context);
  else if (options.json) context.stdout.write(`${JSON.stringify({ dataplane, files: files.map(describe), commands }, null, 2)}\n`);
  else print(files, commands, context);
  return exitCodes.ok;
};

const describe = ({ path, mode, text }: ConfigFile) => ({ path, mode: `0${mode.toString(8)}`, text });
