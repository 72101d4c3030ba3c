import { execFile } from "node:child_process";

/**
 * Runs a program to its end inside the guest and resolves with its standard output. Rejects, with all that it said, if it fails.
 * Scenarios use this and not execa, whose import takes four seconds on an emulated processor.
 */
export const command = (program: string, ...argv: readonly string[]): Promise<string> =>
  new Promise((resolve, reject) => {
    execFile(program, argv, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(`${[program, ...argv].join(" ")}: ${error.code}\n${stdout}${stderr}`));
    });
  });
