import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { exitCodes, Failure } from "../failure.ts";

/** What the gateway is made of. */
const needed = [
  {
    program: "ipsec",
    hint: "install strongSwan with its stroke plugin: strongswan on Debian and on Alpine up to 3.23",
  },
  { program: "ip", hint: "install iproute2" },
] as const;

/** Throws when a program that every start needs is not on the search path, rather than fail at its first use. */
export const requirePrograms = (searchPath: string | undefined): void => {
  const directories = (searchPath ?? "").split(delimiter);
  const problems = needed
    .filter(({ program }) => !directories.some((directory) => isExecutable(join(directory, program))))
    .map(({ program, hint }) => ({ message: `${program} is not installed, or not on PATH`, hint }));
  if (problems.length > 0) throw new Failure(problems, exitCodes.unavailable);
};

const isExecutable = (path: string): boolean => {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
};
