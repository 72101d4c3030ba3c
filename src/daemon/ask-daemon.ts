import type { DaemonRequest } from "../backend/backend.ts";
import { exitCodes, Failure } from "../failure.ts";
import type { RunProgram } from "../host/run-program.ts";
import { requireSuccess } from "../vici/vici-error.ts";
import type { Charon } from "./charon.ts";

/** Asks charon one after the other. Throws a Failure or a ViciError at the first that is refused. */
export const askDaemon = async (
  { vici }: Pick<Charon, "vici">,
  requests: readonly DaemonRequest[],
  runProgram: RunProgram,
): Promise<void> => {
  for (const request of requests) {
    switch (request.kind) {
      case "vici":
        requireSuccess(request.command, await vici.request(request.command, request.message));
        break;
      case "program": {
        const { exitCode, stderr } = await runProgram(request.argv);
        if (exitCode !== 0 && !request.mayFail) throw failed(request.argv, stderr, exitCode);
        break;
      }
      default:
        request satisfies never;
    }
  }
};

const failed = (argv: readonly string[], stderr: string, exitCode: number | undefined): Failure =>
  new Failure(
    [{ message: `${argv.join(" ")} failed: ${stderr || `exit code ${exitCode}`}` }],
    exitCodes.unavailable,
  );
