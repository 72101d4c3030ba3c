import { type ExitCode, exitCodes, Failure } from "../failure.ts";
import type { Purpose } from "../settings/settings.ts";
import type { Context } from "./context.ts";
import { loadSettings } from "./load-settings.ts";
import { printProblems } from "./print-problems.ts";

/** Prints every error and warning of the environment. With `--json`, as one object on stdout. */
export const check = async (
  context: Context,
  options: { readonly json?: boolean; readonly init?: boolean },
): Promise<ExitCode> => {
  const purpose: Purpose = options.init ? "init" : "gateway";
  if (options.json) return await checkAsJson(context, purpose);
  const { warnings } = await loadSettings(context.environment, purpose);
  printProblems("warning", warnings, context.stderr);
  context.stdout.write(
    warnings.length === 0
      ? "the environment is valid\n"
      : `the environment is valid, with ${warnings.length === 1 ? "a warning" : `${warnings.length} warnings`}\n`,
  );
  return exitCodes.ok;
};

const checkAsJson = async (context: Context, purpose: Purpose): Promise<ExitCode> => {
  const print = (result: object): void => context.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
  try {
    const { warnings } = await loadSettings(context.environment, purpose);
    print({ valid: true, errors: [], warnings });
    return exitCodes.ok;
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    print({ valid: false, errors: error.problems, warnings: error.warnings });
    return error.exitCode;
  }
};
