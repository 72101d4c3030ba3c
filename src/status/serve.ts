import { mkdirSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { ListenOptions } from "node:net";
import { dirname } from "node:path";
import { exitCodes, Failure } from "../failure.ts";
import { createJsonScrubber, createScrubber } from "../observe/scrub.ts";
import type { Secret } from "../secret.ts";
import type { ListenAddress } from "../settings/values.ts";
import { gatewaySocket } from "./gateway-socket.ts";
import { renderMetrics } from "./metrics.ts";
import type { Monitor } from "./monitor.ts";
import type { ReloadReport } from "./reload-report.ts";

export type StatusServer = {
  /** Listens there instead, after a reload; nowhere for undefined. Throws a Failure when it cannot. */
  readonly listenAt: (address: ListenAddress | undefined) => Promise<void>;
  readonly close: () => void;
};

export type ServeOptions = {
  readonly address: ListenAddress | undefined;
  /** What no answer may show; as for the log. */
  readonly secrets: () => readonly Secret[];
  /** Has the gateway reload, and tells what came of it. */
  readonly reload: () => Promise<ReloadReport>;
  /** Tells what would come of it. */
  readonly planReload: () => Promise<ReloadReport>;
};

/**
 * Answers on the gateway's socket, where there is everything and a reload can be asked for, and over TCP what probes and
 * Prometheus ask.
 */
export const serveStatus = async (
  monitor: Monitor,
  { address, secrets, reload, planReload }: ServeOptions,
): Promise<StatusServer> => {
  const scrubbers = { json: createJsonScrubber(secrets), text: createScrubber(secrets) };
  const server = (routes: Routes): Server => createStatusServer(routes, scrubbers);
  mkdirSync(dirname(gatewaySocket), { recursive: true, mode: 0o755 });
  rmSync(gatewaySocket, { force: true });
  const local = server({
    ...shared(monitor),
    "/status": { answer: async () => json(200, await monitor.status()) },
    "/reload": { answer: async () => json(200, await reload()), changes: true },
    "/reload/plan": { answer: async () => json(200, await planReload()) },
  });
  await listen(local, { path: gatewaySocket });
  let remote: { readonly server: Server; readonly address: ListenAddress } | undefined;

  const listenAt = async (next: ListenAddress | undefined): Promise<void> => {
    if (remote?.address.host === next?.host && remote?.address.port === next?.port) return;
    const opened = next && { server: server(shared(monitor)), address: next };
    if (opened !== undefined)
      await listen(opened.server, opened.address).catch((error: NodeJS.ErrnoException) => {
        throw cannotListen(opened.address, error);
      });
    if (remote !== undefined) end(remote.server);
    remote = opened;
  };
  const close = (): void => {
    end(local);
    if (remote !== undefined) end(remote.server);
    rmSync(gatewaySocket, { force: true });
  };
  try {
    await listenAt(address);
  } catch (error) {
    close();
    throw error;
  }
  return { listenAt, close };
};

type Reply = { readonly status: number; readonly type: string; readonly body: string };

/** What changes something is asked for by POST. */
type Route = { readonly answer: () => Promise<Reply>; readonly changes?: true };

type Routes = Readonly<Record<string, Route>>;

const shared = (monitor: Monitor): Routes => ({
  "/livez": {
    answer: async () =>
      monitor.isLive()
        ? json(200, { live: true })
        : json(503, { live: false, reasons: ["the IKE daemon does not start"] }),
  },
  "/readyz": {
    answer: async () => {
      const { ready, reasons, failures } = await monitor.status();
      return json(ready ? 200 : 503, { ready, reasons, failures });
    },
  },
  "/metrics": {
    answer: async () => ({
      status: 200,
      type: "text/plain; version=0.0.4; charset=utf-8",
      body: renderMetrics(await monitor.status()),
    }),
  },
});

const jsonType = "application/json";

const json = (status: number, value: object): Reply => ({
  status,
  type: jsonType,
  body: `${JSON.stringify(value)}\n`,
});

type Scrubbers = { readonly json: (body: string) => string; readonly text: (body: string) => string };

const createStatusServer = (routes: Routes, scrubbers: Scrubbers): Server => {
  const created = createServer(limits, (request, response) => {
    answer(routes, request)
      .catch((error: unknown) => json(500, { error: String(error) }))
      .then((reply) => {
        const scrub = reply.type === jsonType ? scrubbers.json : scrubbers.text;
        send({ ...reply, body: scrub(reply.body) }, request, response);
      });
  });
  created.maxConnections = 64;
  return created;
};

/** Whoever is slow is cut off; nothing that is asked here is long. */
const limits = {
  requestTimeout: 5_000,
  headersTimeout: 5_000,
  keepAliveTimeout: 5_000,
  maxHeaderSize: 8_192,
};

const answer = async (routes: Routes, { method, url }: IncomingMessage): Promise<Reply> => {
  const path = (url ?? "").split("?", 1)[0] ?? "";
  const route = Object.hasOwn(routes, path) ? routes[path] : undefined;
  if (route === undefined) return json(404, { error: "not found", paths: Object.keys(routes) });
  const methods = route.changes ? ["POST"] : ["GET", "HEAD"];
  if (!methods.includes(method ?? "")) return json(405, { error: `only ${methods.join(" and ")}` });
  return await route.answer();
};

const send = ({ status, type, body }: Reply, { method }: IncomingMessage, response: ServerResponse): void => {
  response.writeHead(status, {
    "content-type": type,
    "content-length": Buffer.byteLength(body),
    "cache-control": "no-store",
  });
  response.end(method === "HEAD" ? undefined : body);
};

const listen = (created: Server, options: ListenOptions): Promise<void> =>
  new Promise((resolve, reject) => {
    created.once("error", reject);
    created.listen(options, () => {
      created.off("error", reject);
      resolve();
    });
  });

const end = (created: Server): void => {
  created.close();
  created.closeAllConnections();
};

const cannotListen = ({ host, port }: ListenAddress, error: NodeJS.ErrnoException): Failure =>
  new Failure(
    [
      {
        variable: "IPSEC_HTTP_LISTEN",
        message: `IPSEC_HTTP_LISTEN: cannot listen at ${host} port ${port}: ${error.code ?? error.message}`,
        hint: "choose an address of this host and a port that is free, for example 127.0.0.1:9100",
      },
    ],
    exitCodes.unavailable,
    { cause: error },
  );
