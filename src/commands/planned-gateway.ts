import type { Backend } from "../backend/backend.ts";
import { backends } from "../backend/backends.ts";
import type { ConfigFile } from "../backend/config-file.ts";
import { renderFiles } from "../backend/files.ts";
import type { Templates } from "../backend/templates.ts";
import { exitCodes, Failure } from "../failure.ts";
import { type Dataplane, onDataplane } from "../gateway/dataplane.ts";
import { buildGateway } from "../gateway/from-settings.ts";
import type { Connection, Gateway } from "../gateway/gateway.ts";
import { readPathMtu } from "../host/read-path-mtu.ts";
import type { RunProgram } from "../host/run-program.ts";
import { unsupportedBy } from "../ipsec/proposal-checks.ts";
import { loadTemplates } from "../load-templates.ts";
import { memoized } from "../memoized.ts";
import type { Log } from "../observe/log.ts";
import type { Settings } from "../settings/settings.ts";

/** What a running gateway holds, or is about to. */
export type PlannedGateway = {
  readonly settings: Settings;
  readonly gateway: Gateway;
  readonly backend: Backend;
  readonly dataplane: Dataplane;
  readonly manual: boolean;
  readonly files: readonly ConfigFile[];
};

/** Builds the model and renders its files, secrets included. Throws where the installed strongSwan knows too little. */
export const planGateway = async (
  settings: Settings,
  dataplane: Dataplane,
  runProgram: RunProgram,
): Promise<PlannedGateway> => {
  const pathMtu = await readPathMtu(settings.tunnels, runProgram);
  const gateway = onDataplane(buildGateway(settings, pathMtu), dataplane);
  const backend = backends[settings.gateway.IPSEC_BACKEND];
  await requireSupportedKeywords(backend, gateway, runProgram);
  const files = renderFiles({ ...backend, connectionFiles: revealedFiles[backend.name] }, gateway, {
    templates: loadTemplates(),
    dataplane,
    manualCharon: settings.gateway.IPSEC_MANUAL_CHARON,
  });
  return { settings, gateway, backend, dataplane, manual: settings.gateway.IPSEC_USE_MANUAL_CONFIG, files };
};

/** A connection that a reload finds as it was is not rendered again. */
const revealedFilesOf = ({ connectionFiles }: Backend) =>
  memoized((connection: Connection) =>
    connectionFiles(connection, { templates: loadTemplates(), showSecrets: true }),
  );

const revealedFiles = {
  stroke: revealedFilesOf(backends.stroke),
  swanctl: revealedFilesOf(backends.swanctl),
};

export const charonConf = ({ files }: PlannedGateway): string | undefined =>
  files.find((file) => file.path.endsWith("/charon.conf"))?.text;

/** All that is written of each connection, keys included, by its name: what it takes to tell whether it has changed. */
export const connectionTexts = ({ files }: PlannedGateway): ReadonlyMap<string, string> => {
  const texts = new Map<string, string>();
  for (const { connection, text } of files)
    if (connection !== undefined) texts.set(connection, `${texts.get(connection) ?? ""}${text}`);
  return texts;
};

/** The same of one connection, less the key. */
export const textWithoutKey = (
  { backend }: PlannedGateway,
  connection: Connection,
  templates: Templates,
): string =>
  backend
    .connectionFiles(connection, { templates })
    .map(({ text }) => text)
    .join("");

/** With DEBUG the written files are logged; the scrubber would mask their secrets, but they are rendered masked anyway. */
export const logFiles = (log: Log, { backend, gateway, dataplane, settings }: PlannedGateway): void => {
  if (!gateway.debug) return;
  const masked = renderFiles(backend, gateway, {
    templates: loadTemplates(),
    dataplane,
    manualCharon: settings.gateway.IPSEC_MANUAL_CHARON,
  });
  for (const { path, text } of masked) log.debug({ event: "file-written", path, text }, "wrote a file");
};

/** The version is asked for only when it matters, since that takes a process. */
const requireSupportedKeywords = async (
  { daemon }: Backend,
  gateway: Gateway,
  runProgram: RunProgram,
): Promise<void> => {
  const proposals = gateway.connections.flatMap(({ proposals, children }) => [
    ...proposals,
    ...children.flatMap((child) => child.proposals),
  ]);
  if (
    !proposals.some(({ algorithms }) =>
      algorithms.some((one) => one.since !== undefined || one.removedIn !== undefined),
    )
  )
    return;
  const { stdout } = await runProgram(daemon.version);
  const problems = unsupportedBy(proposals, stdout.split("\n")[0] ?? "");
  if (problems.length > 0) throw new Failure(problems, exitCodes.unavailable);
};
