import type { Environment } from "./site-process.ts";

/** An environment as a file for ENVFILE; no value may hold a single quote. */
export const linesOf = (environment: Environment): string =>
  Object.entries(environment)
    .map(([name, value]) => `${name}='${value}'\n`)
    .join("");
