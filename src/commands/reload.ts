import type { ExitCode } from "../failure.ts";
import { askGateway } from "../status/gateway-socket.ts";
import type { ReloadReport } from "../status/reload-report.ts";
import type { Context } from "./context.ts";
import { printProblems } from "./print-problems.ts";
import { printReload } from "./print-reload.ts";

/** Has the gateway that runs here reload, waits, and prints what came of it; with `dryRun`, what would. */
export const reload = async (
  { stdout, stderr }: Context,
  options: { readonly json?: boolean; readonly dryRun?: boolean },
): Promise<ExitCode> => {
  const { body } = options.dryRun
    ? await askGateway("/reload/plan", { limitMilliseconds })
    : await askGateway("/reload", { method: "POST", limitMilliseconds });
  const report = JSON.parse(body) as ReloadReport;
  if (options.json) {
    stdout.write(`${JSON.stringify(report, null, 2)}\n`);
    return report.exitCode;
  }
  printProblems("warning", report.warnings, stderr);
  printReload(report, stdout);
  printProblems("error", report.errors, stderr);
  return report.exitCode;
};

/** A gateway that is just starting reloads when its connections are loaded, and charon may have died a few times by then. */
const limitMilliseconds = 120_000;
