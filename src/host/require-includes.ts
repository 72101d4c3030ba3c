import { readFileSync } from "node:fs";
import { exitCodes, Failure, type Problem } from "../failure.ts";

/**
 * Throws when /etc/ipsec.conf or /etc/ipsec.secrets would not include what we write: charon would start without
 * a connection and wait for ever. They belong to the image or the operator, so they are not mended here.
 */
export const requireIncludes = (root = ""): void => {
  const problems = [
    missingInclude(root, "/etc/ipsec.conf", "/etc/ipsec.config.d/*.conf"),
    missingInclude(root, "/etc/ipsec.secrets", "/etc/ipsec.secrets.d/*.secrets"),
  ].filter((problem) => problem !== undefined);
  if (problems.length > 0) throw new Failure(problems, exitCodes.configuration);
};

const missingInclude = (root: string, path: string, pattern: string): Problem | undefined => {
  const line = `include ${pattern}`;
  const hint = `add the line: ${line}`;
  try {
    const directory = pattern.slice(0, pattern.lastIndexOf("/"));
    const includes = new RegExp(`^\\s*include\\s+${directory.replaceAll(".", "\\.")}/`, "m");
    if (includes.test(readFileSync(`${root}${path}`, "utf8"))) return undefined;
    return {
      message: `${path} does not include ${pattern}, so the rendered connection would not be loaded`,
      hint,
    };
  } catch (error) {
    return { message: `${path} cannot be read: ${(error as NodeJS.ErrnoException).code}`, hint };
  }
};
