import { renderCharonConf } from "../backend/charon-conf.ts";
import type { ConfigFile } from "../backend/config-file.ts";
import { managedDirectories, renderFiles } from "../backend/stroke/files.ts";
import { revealedAsBase64 } from "../backend/stroke/render.ts";
import { type Charon, requireFreePorts } from "../daemon/charon.ts";
import { claimHost } from "../daemon/claim.ts";
import type { KillProcess } from "../daemon/end-processes.ts";
import { followFiles, followManualFiles } from "../daemon/reload.ts";
import { removeStaleFiles, runningDaemon } from "../daemon/stale.ts";
import { supervise } from "../daemon/supervise.ts";
import { type ExitCode, exitCodes, Failure } from "../failure.ts";
import { type Dataplane, onDataplane } from "../gateway/dataplane.ts";
import { buildGateway } from "../gateway/from-settings.ts";
import type { Connection, Gateway } from "../gateway/gateway.ts";
import { applySteps, type Effects, undo, undoAll } from "../host/apply.ts";
import { requireCapabilities } from "../host/capabilities.ts";
import { chooseDataplane } from "../host/choose-dataplane.ts";
import { daemonOwner } from "../host/daemon-owner.ts";
import { inspectHost } from "../host/inspect.ts";
import { openJournal } from "../host/journal.ts";
import { removeKernelLeftovers } from "../host/kernel-leftovers.ts";
import { hostRouteUndo, planHostRoutes } from "../host/plan.ts";
import { requireIncludes } from "../host/require-includes.ts";
import { requirePrograms } from "../host/require-programs.ts";
import { childEnvironment, createRunProgram, type RunProgram } from "../host/run-program.ts";
import { removeUnwanted, type WriteOptions, type Written, writeFiles } from "../host/write-files.ts";
import { unsupportedBy } from "../ipsec/proposal-checks.ts";
import { loadTemplates } from "../load-templates.ts";
import { parseCharonLine } from "../observe/charon-line.ts";
import { createDiagnostician } from "../observe/diagnostician.ts";
import { charonRecord, type Log } from "../observe/log.ts";
import type { Secret } from "../secret.ts";
import type { Settings } from "../settings/settings.ts";
import { ViciError } from "../vici/vici-error.ts";
import { createCommandLog, logLevel, logProblems, logWarnings } from "./command-log.ts";
import type { Context } from "./context.ts";
import { loadSettings } from "./load-settings.ts";

/** Where the commands that take back our changes are kept, for whoever comes after a crash. */
const journalPath = "/run/vnf-ipsec/undo.json";

/** Which process is the gateway here, and which processes are its own. */
const claimPath = "/run/vnf-ipsec/gateway.json";

/** Checks everything, prepares the host, and keeps charon running until a stop is asked for. */
export const run = async (context: Context & { readonly killProcess: KillProcess }): Promise<ExitCode> => {
  const { control } = context;
  const loaded = loadSettings(context.environment, "gateway");
  let secrets = secretsOf(loaded.settings);
  const log = await createCommandLog(loaded.settings, context, () => secrets);
  log.info({ event: "starting", version: context.version }, "vnf-ipsec starts");
  logWarnings(log, loaded.warnings);
  requireCapabilities(["NET_ADMIN", "NET_BIND_SERVICE"]);
  requirePrograms(context.environment["PATH"]);
  if (!loaded.settings.gateway.IPSEC_USE_MANUAL_CONFIG) requireIncludes();

  const environment = childEnvironment(context.environment);
  const runProgram = createRunProgram(environment, log);
  const { claim, hadPredecessor } = await claimHost(claimPath, context.killProcess, log);
  const effects: Effects = { runProgram, log, journal: openJournal(journalPath) };
  let written: Pick<Written, "restore"> | undefined;
  try {
    await undoAll(effects);
    removeStaleFiles();
    if (!loaded.settings.gateway.IPSEC_MANUAL_CHARON) requireFreePorts();

    const dataplane = await decideDataplane(loaded.settings, runProgram, log);
    let current = await plan(loaded.settings, dataplane, runProgram);
    if (control.isStopping()) return exitCodes.ok;
    if (hadPredecessor) await removeKernelLeftovers(current.gateway, { runProgram, log });
    const owner = daemonOwner();
    const writeOptions: WriteOptions = { root: "", ...(owner === undefined ? {} : { owner }) };
    written = writeFiles(current.files, writeOptions);
    removeUnwanted(managedDirectories, current.files, writeOptions);
    logFiles(log, current);
    await applySteps(
      planHostRoutes(current.gateway.hostRoutes, await inspectHostFor(current, runProgram)),
      effects,
    );

    const lastWords: string[] = [];
    const diagnostician = createDiagnostician();
    const onLine = (text: string): void => {
      const line = parseCharonLine(text);
      const { level, fields, message } = charonRecord(line, diagnostician.observe(line));
      log[level](fields, message);
      lastWords.push(message);
      if (lastWords.length > 12) lastWords.shift();
    };
    const reload = async (charon: Charon): Promise<"changed" | "restart" | "unchanged"> => {
      const previous = current;
      try {
        const next = loadSettings(context.environment, "gateway");
        logWarnings(log, next.warnings);
        const planned = await plan(next.settings, dataplane, runProgram);
        const move = await planHostRouteMove(previous.gateway, planned.gateway, effects);
        if (control.isStopping()) return "unchanged";
        secrets = [...secretsOf(previous.settings), ...secretsOf(next.settings)];
        const rewritten = writeFiles(planned.files, writeOptions);
        await move().catch((error: unknown) => {
          rewritten.rollBack();
          throw error;
        });
        removeUnwanted(managedDirectories, planned.files, writeOptions);
        written = mergeWritten(written, rewritten);
        current = planned;
        secrets = secretsOf(next.settings);
        log.level = logLevel(next.settings);
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        logProblems(log, error);
        log.error({ event: "reload-refused" }, "nothing was changed: the gateway goes on as before");
        return "unchanged";
      }
      try {
        return await follow(charon, previous, current, { runProgram, log });
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
      start: {
        environment,
        onLine,
        expectPorts: !loaded.settings.gateway.IPSEC_MANUAL_CHARON,
        killProcess: context.killProcess,
        record: claim.record,
      },
      expected: () => ({
        loaded: current.manual
          ? undefined
          : childrenOf(current.gateway.connections).map((child) => child.name),
        up: childrenOf(current.gateway.connections)
          .filter((child) => child.atOnce)
          .map((child) => child.name),
      }),
      reload,
      lastWords: () => lastWords,
      afterKill: () => removeKernelLeftovers(current.gateway, { runProgram, log }),
    });
    return exitCodes.ok;
  } catch (error) {
    if (error instanceof Failure) logProblems(log, error);
    throw error;
  } finally {
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

type Plan = {
  readonly settings: Settings;
  readonly gateway: Gateway;
  readonly dataplane: Dataplane;
  readonly manual: boolean;
  readonly files: readonly ConfigFile[];
};

const plan = async (settings: Settings, dataplane: Dataplane, runProgram: RunProgram): Promise<Plan> => {
  const gateway = onDataplane(buildGateway(settings), dataplane);
  await requireSupportedKeywords(gateway, runProgram);
  const files = renderFiles(gateway, {
    templates: loadTemplates(),
    dataplane,
    manualCharon: settings.gateway.IPSEC_MANUAL_CHARON,
    showSecret: revealedAsBase64,
  });
  return { settings, gateway, dataplane, manual: settings.gateway.IPSEC_USE_MANUAL_CONFIG, files };
};

const decideDataplane = async (settings: Settings, runProgram: RunProgram, log: Log): Promise<Dataplane> => {
  const needsKernel = settings.gateway.IPSEC_VTI_KEY !== undefined;
  const { dataplane, reason } = await chooseDataplane(
    settings.gateway.IPSEC_DATAPLANE,
    needsKernel,
    runProgram,
  );
  if (reason === undefined) log.info({ event: "dataplane", dataplane }, `ESP runs in ${places[dataplane]}`);
  else {
    const hint = "slower, but it needs no kernel support; load the module esp4 for ESP in the kernel";
    log.warn(
      { event: "dataplane", dataplane, reason, hint },
      "the kernel has no ESP, so it runs in user space",
    );
  }
  if (dataplane === "userspace" && settings.gateway.IPSEC_MANUAL_CHARON) {
    log.warn(
      { event: "dataplane", variables: ["IPSEC_MANUAL_CHARON", "IPSEC_DATAPLANE"] },
      "with IPSEC_MANUAL_CHARON your own files must load kernel-libipsec before kernel-netlink",
    );
  }
  return dataplane;
};

const places = { kernel: "the kernel", userspace: "user space" } as const;

/** The version is asked for only when it matters, since that takes a process. */
const requireSupportedKeywords = async (gateway: Gateway, runProgram: RunProgram): Promise<void> => {
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
  const { stdout } = await runProgram(["ipsec", "--version"]);
  const problems = unsupportedBy(proposals, stdout.split("\n")[0] ?? "");
  if (problems.length > 0) throw new Failure(problems, exitCodes.unavailable);
};

const inspectHostFor = (current: Plan, runProgram: RunProgram) =>
  current.gateway.hostRoutes.length === 0 ? Promise.resolve({ mainRoutes: [] }) : inspectHost(runProgram);

/** Looks first, and fails then if at all; what it returns changes the host. */
const planHostRouteMove = async (
  previous: Gateway,
  next: Gateway,
  effects: Effects,
): Promise<() => Promise<void>> => {
  if (JSON.stringify(previous.hostRoutes) === JSON.stringify(next.hostRoutes)) return async () => {};
  const steps = planHostRoutes(next.hostRoutes, await inspectHost(effects.runProgram));
  return async () => {
    await applySteps(steps, effects);
    const kept = new Set(next.hostRoutes.map(({ network }) => network.text));
    const outdated = effects.journal.entries().filter((argv) => {
      const network = hostRouteUndo(argv);
      return network !== undefined && !kept.has(network);
    });
    await undo(outdated, effects);
  };
};

const follow = async (
  charon: Charon,
  previous: Plan,
  next: Plan,
  effects: { readonly runProgram: RunProgram; readonly log: Log },
): Promise<"changed" | "restart" | "unchanged"> => {
  const { log, runProgram } = effects;
  if (next.manual !== previous.manual || charonNeedsRestart(previous, next)) {
    log.info({ event: "reloaded" }, "the reload needs charon to start anew");
    return "restart";
  }
  if (charonConf(previous) !== charonConf(next)) await charon.vici.request("reload-settings");
  if (next.manual) {
    await followManualFiles(charon, runProgram);
    log.info({ event: "reloaded" }, "reloaded the mounted configuration");
    return "changed";
  }
  const same = new Set(
    next.gateway.connections
      .filter((one) => textOf(previous, one) === textOf(next, one))
      .map((one) => one.name),
  );
  const outdated = previous.gateway.connections.filter((one) => !same.has(one.name));
  const changed = next.gateway.connections.filter((one) => !same.has(one.name));
  if (outdated.length === 0 && changed.length === 0) {
    log.info({ event: "reloaded" }, "reloaded: no connection has changed");
    return "unchanged";
  }
  const isKeptButItsKey = (one: Connection): boolean =>
    connectionFile(previous, one) === connectionFile(next, one);
  await followFiles(
    charon,
    {
      connections: outdated.filter((one) => !isKeptButItsKey(one)),
      keys: outdated.filter(isKeptButItsKey),
    },
    next.gateway.connections,
    effects,
  );
  log.info({ event: "reloaded", connections: changed.map((one) => one.name) }, "reloaded");
  return "changed";
};

/** What charon reads only when it starts; its log levels it reads again on request. */
const charonNeedsRestart = (previous: Plan, next: Plan): boolean => {
  const old = charonConf(previous);
  if (old === undefined) return charonConf(next) !== undefined;
  const quietly = renderCharonConf(
    { ...next.gateway, debug: previous.gateway.debug },
    next.dataplane,
    loadTemplates(),
  );
  return quietly.text !== old;
};

const charonConf = ({ files }: Plan): string | undefined =>
  files.find((file) => file.path.endsWith("/charon.conf"))?.text;

const textOf = (plan: Plan, connection: Connection): string =>
  `${connectionFile(plan, connection)}\n${textAt(plan, `/ipsec.${connection.name}.secrets`)}`;

const connectionFile = (plan: Plan, { name }: Connection): string | undefined =>
  textAt(plan, `/ipsec.${name}.conf`);

const textAt = ({ files }: Plan, end: string): string | undefined =>
  files.find(({ path }) => path.endsWith(end))?.text;

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

/** With DEBUG the written files are logged; the scrubber would mask their secrets, but they are rendered masked anyway. */
const logFiles = (log: Log, { gateway, dataplane, settings }: Plan): void => {
  if (!gateway.debug) return;
  const masked = renderFiles(gateway, {
    templates: loadTemplates(),
    dataplane,
    manualCharon: settings.gateway.IPSEC_MANUAL_CHARON,
  });
  for (const { path, text } of masked) log.debug({ event: "file-written", path, text }, "wrote a file");
};
