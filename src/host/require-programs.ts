import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { exitCodes, Failure } from "../failure.ts";

/** Where strongSwan's daemon is, which is on no search path: Debian, Alpine, and the default of its own build. */
export const daemonDirectories = ["/usr/lib/ipsec", "/usr/lib/strongswan", "/usr/libexec/ipsec"] as const;

/** Throws when a program that every start needs is not there, rather than fail at its first use. */
export const requirePrograms = (
  searchPath: string | undefined,
  { program, hint }: { readonly program: string; readonly hint: string },
): void => {
  const directories = [...(searchPath ?? "").split(delimiter), ...daemonDirectories];
  const problems = [
    { program, hint },
    { program: "ip", hint: "install iproute2" },
  ]
    .filter((needed) => !directories.some((directory) => isExecutable(join(directory, needed.program))))
    .map((needed) => ({ message: `${needed.program} is not installed, or not on PATH`, hint: needed.hint }));
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
