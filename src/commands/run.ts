import { backends, managedDirectories } from "../backend/backends.ts";
import { type Charon, requireFreePorts } from "../daemon/charon.ts";
import { claimHost } from "../daemon/claim.ts";
import type { KillProcess } from "../daemon/end-processes.ts";
import { loadEverything } from "../daemon/load-connections.ts";
import { runPaths } from "../daemon/paths.ts";
import { removeStaleFiles, runningDaemon } from "../daemon/stale.ts";
import { supervise } from "../daemon/supervise.ts";
import { type ExitCode, exitCodes, Failure } from "../failure.ts";
import type { Connection } from "../gateway/gateway.ts";
import { type Effects, undoAll } from "../host/apply.ts";
import { requireCapabilities } from "../host/capabilities.ts";
import { daemonUser } from "../host/daemon-user.ts";
import { moveDiscardPolicies, undoAllButDiscarding } from "../host/discard-policies.ts";
import { checkHost, readSysctl } from "../host/host-checks.ts";
import { addHostRoutes, planHostRouteMove } from "../host/host-routes.ts";
import { openJournal } from "../host/journal.ts";
import {
  keepVirtualInterfaces,
  makeVirtualInterfaces,
  requireVirtualInterfaces,
} from "../host/keep-virtual-interfaces.ts";
import { removeKernelLeftovers } from "../host/kernel-leftovers.ts";
import { requireIncludes } from "../host/require-includes.ts";
import { requirePrograms } from "../host/require-programs.ts";
import { childEnvironment, createRunProgram } from "../host/run-program.ts";
import { removeUnwanted, type WriteOptions, type Written, writeFiles } from "../host/write-files.ts";
import { parseCharonLine } from "../observe/charon-line.ts";
import { createDiagnostician } from "../observe/diagnostician.ts";
import { charonRecord } from "../observe/log.ts";
import type { Secret } from "../secret.ts";
import type { Settings } from "../settings/settings.ts";
import { createMonitor } from "../status/monitor.ts";
import { serveStatus } from "../status/serve.ts";
import { ViciError } from "../vici/vici-error.ts";
import { createCommandLog, logLevel, logProblems, logWarnings } from "./command-log.ts";
import type { Context } from "./context.ts";
import { decideDataplane } from "./decide-dataplane.ts";
import { followReload, type ReloadEffect } from "./follow-reload.ts";
import { loadSettings } from "./load-settings.ts";
import { logFiles, planGateway } from "./planned-gateway.ts";

/** Where the commands that take back our changes are kept, for whoever comes after a crash. */
const journalPath = "/run/vnf-ipsec/undo.json";

/** Which process is the gateway here, and which processes are its own. */
const claimPath = "/run/vnf-ipsec/gateway.json";

/** Checks everything, prepares the host, and keeps charon running until a stop is asked for. */
export const run = async (
  context: Context & { readonly killProcess: KillProcess },
  options: { readonly withInit?: boolean } = {},
): Promise<ExitCode> => {
  const { control } = context;
  const loaded = loadSettings(context.environment, "gateway");
  let secrets = secretsOf(loaded.settings);
  const log = await createCommandLog(loaded.settings, context, () => secrets);
  log.info({ event: "starting", version: context.version }, "vnf-ipsec starts");
  logWarnings(log, [...loaded.warnings, ...checkHost(readSysctl)]);
  requireCapabilities(["NET_ADMIN", "NET_BIND_SERVICE"]);
  const backend = backends[loaded.settings.gateway.IPSEC_BACKEND];
  requirePrograms(context.environment["PATH"], backend.daemon);
  if (backend === backends.stroke && !loaded.settings.gateway.IPSEC_USE_MANUAL_CONFIG) requireIncludes();

  const environment = childEnvironment(context.environment);
  const runProgram = createRunProgram(environment, log);
  const { claim, hadPredecessor } = await claimHost(claimPath, context.killProcess, log);
  const effects: Effects = { runProgram, log, journal: openJournal(journalPath) };
  let written: Pick<Written, "restore"> | undefined;
  let keeper: ReturnType<typeof keepVirtualInterfaces> | undefined;
  let closeServer: (() => void) | undefined;
  try {
    await undoAllButDiscarding(effects);
    removeStaleFiles();
    if (!loaded.settings.gateway.IPSEC_MANUAL_CHARON) requireFreePorts();

    const dataplane = await decideDataplane(loaded.settings, runProgram, log);
    let current = await planGateway(loaded.settings, dataplane, runProgram);
    if (control.isStopping()) return exitCodes.ok;
    const diagnostician = createDiagnostician();
    const monitor = createMonitor({
      log,
      socket: runPaths.vici,
      version: context.version,
      dataplane,
      planned: () => current,
      diagnostician,
    });
    const server = await serveStatus(monitor, {
      address: loaded.settings.gateway.IPSEC_HTTP_LISTEN,
      secrets: () => secrets,
    });
    closeServer = server.close;
    // Before anything of a predecessor is taken out of the kernel, and until after everything of ours is.
    await moveDiscardPolicies(dataplane, current.gateway, effects);
    if (hadPredecessor) await removeKernelLeftovers(current.gateway, { runProgram, log });
    const { owner, files: ofDaemonUser } = daemonUser();
    const writeOptions: WriteOptions = { root: "", ...(owner === undefined ? {} : { owner }) };
    written = writeFiles([...current.files, ...ofDaemonUser], writeOptions);
    removeUnwanted(managedDirectories, current.files, writeOptions);
    logFiles(log, current);
    await addHostRoutes(current.gateway, effects);
    const { virtualInterfaces } = current.gateway;
    if (options.withInit) await makeVirtualInterfaces(virtualInterfaces, effects);
    else await requireVirtualInterfaces(virtualInterfaces, effects);
    if (virtualInterfaces.length > 0) {
      keeper = keepVirtualInterfaces(() => current.gateway.virtualInterfaces, effects, environment);
    }

    const lastWords: string[] = [];
    const onLine = (text: string): void => {
      const line = parseCharonLine(text);
      const finding = diagnostician.observe(line);
      monitor.note(line, finding);
      const { level, fields, message } = charonRecord(line, finding);
      log[level](fields, message);
      lastWords.push(message);
      if (lastWords.length > 12) lastWords.shift();
    };
    const reload = async (charon: Charon): Promise<ReloadEffect> => {
      const previous = current;
      try {
        const next = loadSettings(context.environment, "gateway");
        logWarnings(log, next.warnings);
        const planned = await planGateway(next.settings, dataplane, runProgram);
        await server.listenAt(next.settings.gateway.IPSEC_HTTP_LISTEN);
        const moveRoutes = await planHostRouteMove(previous.gateway, planned.gateway, effects);
        if (control.isStopping()) return "unchanged";
        secrets = [...secretsOf(previous.settings), ...secretsOf(next.settings)];
        const rewritten = writeFiles(planned.files, writeOptions);
        try {
          await moveRoutes();
          await moveDiscardPolicies(dataplane, planned.gateway, effects);
        } catch (error) {
          rewritten.rollBack();
          throw error;
        }
        removeUnwanted(managedDirectories, planned.files, writeOptions);
        written = mergeWritten(written, rewritten);
        current = planned;
        secrets = secretsOf(next.settings);
        log.level = logLevel(next.settings);
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        logProblems(log, error);
        await server.listenAt(previous.settings.gateway.IPSEC_HTTP_LISTEN);
        log.error({ event: "reload-refused" }, "nothing was changed: the gateway goes on as before");
        return "unchanged";
      }
      try {
        return await followReload(charon, previous, current, { runProgram, log });
      } catch (error) {
        if (!(error instanceof Failure || error instanceof ViciError)) throw error;
        if (control.isStopping()) return "changed";
        log.warn(
          { event: "reloaded", reason: error.message },
          "charon did not follow the reload and starts anew",
        );
        return "restart";
      }
    };
    await supervise({
      log,
      control,
      start: () => ({
        daemon: current.backend.daemon,
        environment,
        onLine,
        expectPorts: !loaded.settings.gateway.IPSEC_MANUAL_CHARON,
        killProcess: context.killProcess,
        record: claim.record,
      }),
      load: (charon) =>
        loadEverything(
          charon,
          { connections: current.gateway.connections, isMounted: current.manual },
          { backend: current.backend, runProgram, log },
        ),
      expectedUp: () =>
        childrenOf(current.gateway.connections)
          .filter((child) => child.atOnce)
          .map((child) => child.name),
      reload,
      follower: monitor,
      lastWords: () => lastWords,
      afterKill: () => removeKernelLeftovers(current.gateway, { runProgram, log }),
    });
    return exitCodes.ok;
  } catch (error) {
    if (error instanceof Failure) logProblems(log, error);
    throw error;
  } finally {
    await keeper?.stop();
    closeServer?.();
    await undoAll(effects);
    // Not those of a charon that was here before and made us fail.
    if (runningDaemon() === undefined) removeStaleFiles();
    const left = written?.restore() ?? [];
    if (left.length > 0)
      log.error({ event: "files-left", paths: left }, "written files could not be removed");
    claim.release();
    log.info({ event: "stopped" }, "vnf-ipsec has stopped");
  }
};

/** The oldest record of a path knows what stood there before us. */
const mergeWritten = (
  earlier: Pick<Written, "restore"> | undefined,
  later: Written,
): Pick<Written, "restore"> => ({
  restore: () => [...new Set([...later.restore(), ...(earlier?.restore() ?? [])])],
});

const childrenOf = (connections: readonly Connection[]) =>
  connections.flatMap((connection) => connection.children);

const secretsOf = (settings: Settings): readonly Secret[] =>
  settings.connections.map((connection) => connection.IPSEC_PSK);
