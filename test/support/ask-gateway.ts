import assert from "node:assert/strict";
import { request } from "node:http";
import { gatewaySocket } from "../../src/status/gateway-socket.ts";
import type { GatewayStatus } from "../../src/status/status-schema.ts";
import { commandWords, searchPath } from "./command.ts";
import type { ExecResult, Namespace } from "./namespace.ts";
import { waitFor } from "./wait-for.ts";

export type Answer = { readonly status: number; readonly body: string };

/** What the gateway of a site answers on its socket. */
export const ask = (site: Namespace, path: string, method: "GET" | "POST" = "GET"): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const asked = request({ socketPath: site.fromOutside(gatewaySocket), path, method }, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        body += chunk;
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, body }));
      response.on("error", reject);
    });
    asked.on("error", reject);
    asked.end();
  });

export type Readiness = Pick<GatewayStatus, "ready" | "reasons" | "failures"> & { readonly status: number };

export const readinessOf = async (site: Namespace): Promise<Readiness> => {
  const { status, body } = await ask(site, "/readyz");
  return { status, ...(JSON.parse(body) as Omit<Readiness, "status">) };
};

/** Our command in a site, to its end, in an environment without any setting. */
export const command = (site: Namespace, ...args: string[]): Promise<ExecResult> =>
  site.exec([...commandWords(), ...args], { env: { PATH: searchPath } });

/** As `status --json` prints it. */
export const statusOf = async (site: Namespace): Promise<GatewayStatus> => {
  const { exitCode, stdout, stderr } = await command(site, "status", "--json");
  assert.equal(exitCode, 0, stderr);
  return JSON.parse(stdout) as GatewayStatus;
};

/** Waits until the gateway of a site says that it is ready. */
export const isShownReady = async (site: Namespace): Promise<void> => {
  let last: Readiness | undefined;
  await waitFor(
    "the gateway to be ready",
    async () => {
      last = await readinessOf(site);
      return last.ready ? true : undefined;
    },
    { explain: () => JSON.stringify(last, null, 2) },
  );
};
