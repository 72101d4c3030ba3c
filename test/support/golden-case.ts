import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Environment } from "./site-process.ts";

/** What a case of test/golden is rendered from. */
export const environmentOfCase = (folder: string): Environment => {
  const connections = join(folder, "connections.yaml");
  return {
    ENVFILE: join(folder, "input.env"),
    ...(existsSync(connections) ? { IPSEC_CONFIG_FILE: connections } : {}),
  };
};
