import { requireFreePorts } from "../daemon/charon.ts";
import { claimHost } from "../daemon/claim.ts";
import type { KillProcess } from "../daemon/end-processes.ts";
import { loadEverything } from "../daemon/load-connections.ts";
import { runPaths } from "../daemon/paths.ts";
import { reloadRequests } from "../daemon/reload-requests.ts";
import { removeStaleFiles, runningDaemon } from "../daemon/stale.ts";
import { supervise } from "../daemon/supervise.ts";
import { type ExitCode, exitCodes, Failure } from "../failure.ts";
import type { Effects } from "../host/apply.ts";
import { listAwaitedTunnels } from "../host/awaited-tunnels.ts";
import { moveDiscardPolicies, undoAllButDiscarding, undoEverything } from "../host/discard-policies.ts";
import { checkHost, readSysctl } from "../host/host-checks.ts";
import { addHostRoutes } from "../host/host-routes.ts";
import { openJournal } from "../host/journal.ts";
import {
  keepVirtualInterfaces,
  makeVirtualInterfaces,
  requireVirtualInterfaces,
} from "../host/keep-virtual-interfaces.ts";
import { removeKernelLeftovers } from "../host/kernel-leftovers.ts";
import { areDemanded, movePacketRules } from "../host/packet-rules.ts";
import { childEnvironment, createRunProgram } from "../host/run-program.ts";
import { watchFiles } from "../host/watch-files.ts";
import { createDiagnostician } from "../observe/diagnostician.ts";
import type { Log } from "../observe/log.ts";
import type { Settings } from "../settings/settings.ts";
import { createSettingsMemory } from "../settings/settings-memory.ts";
import { createMonitor } from "../status/monitor.ts";
import { serveStatus } from "../status/serve.ts";
import { createCommandLog, logProblems, logWarnings } from "./command-log.ts";
import type { Context } from "./context.ts";
import { createDaemonLines } from "./daemon-lines.ts";
import { decideDataplane } from "./decide-dataplane.ts";
import { createGatewayFiles } from "./gateway-files.ts";
import type { Running } from "./install-plan.ts";
import { loadSettings } from "./load-settings.ts";
import { logFiles, planGateway } from "./planned-gateway.ts";
import { type PlanParts, planReload, reloadGateway } from "./reload-gateway.ts";
import { stopping } from "./reload-reports.ts";
import { requireMachine } from "./require-machine.ts";
import { secretsOf } from "./secrets-of.ts";

/** Where the commands that take back our changes are kept, for whoever comes after a crash. */
const journalPath = "/run/vnf-ipsec/undo.json";

/** Which process is the gateway here, and which processes are its own. */
const claimPath = "/run/vnf-ipsec/gateway.json";

type RunContext = Context & { readonly killProcess: KillProcess };

type RunOptions = { readonly withInit?: boolean };

/** Checks everything, prepares the host, and keeps charon running until a stop is asked for. */
export const run = async (context: RunContext, options: RunOptions = {}): Promise<ExitCode> => {
  const memory = createSettingsMemory();
  const { settings, warnings, files } = await loadSettings(context.environment, "gateway", memory);
  const read: Omit<Running, "plan"> = { secrets: secretsOf(settings), files, memory };
  const log = await createCommandLog(settings, context, () => read.secrets);
  log.info({ event: "starting", version: context.version }, "vnf-ipsec starts");
  const protectedNetworks = settings.tunnels.flatMap(({ IPSEC_LOCALNET: networks = [] }) => networks);
  const families = new Set(protectedNetworks.map(({ family }) => family));
  logWarnings(log, [...warnings, ...checkHost(readSysctl, families)]);
  requireMachine(context, settings);
  try {
    await runGateway(context, options, settings, log, read);
    return exitCodes.ok;
  } catch (error) {
    if (error instanceof Failure) logProblems(log, error);
    throw error;
  } finally {
    log.info({ event: "stopped" }, "vnf-ipsec has stopped");
  }
};

/** Whatever is made here is unmade at the end of its scope, the last first. */
const runGateway = async (
  context: RunContext,
  options: RunOptions,
  settings: Settings,
  log: Log,
  read: Omit<Running, "plan">,
): Promise<void> => {
  const { control, killProcess } = context;
  await using scope = new AsyncDisposableStack();
  const environment = childEnvironment(context.environment);
  const runProgram = createRunProgram(environment, log);
  const { claim, hadPredecessor } = await claimHost(claimPath, killProcess, log);
  scope.defer(claim.release);
  const effects: Effects = { runProgram, log, journal: openJournal(journalPath) };
  scope.defer(() => {
    // Not those of a charon that was here before and made us fail.
    if (runningDaemon() === undefined) removeStaleFiles();
  });
  scope.defer(() => undoEverything(effects));
  await undoAllButDiscarding(effects);
  removeStaleFiles();
  if (!settings.gateway.IPSEC_MANUAL_CHARON) requireFreePorts();

  const dataplane = await decideDataplane(settings, runProgram, log);
  const plan = await planGateway(settings, dataplane, runProgram);
  const running: Running = Object.assign(read, { plan });
  if (control.isStopping()) return;

  const diagnostician = createDiagnostician();
  const monitor = createMonitor({
    log,
    socket: runPaths.vici,
    version: context.version,
    dataplane,
    planned: () => running.plan,
    diagnostician,
  });
  const reloads = reloadRequests(control, stopping);
  const files = createGatewayFiles({ log });
  const withInit = options.withInit === true;
  const parts: PlanParts = { context, running, files, effects, withInit };
  const server = await serveStatus(monitor, {
    address: settings.gateway.IPSEC_HTTP_LISTEN,
    secrets: () => running.secrets,
    reload: reloads.ask,
    planReload: () => reloads.inTurn(() => planReload(parts)),
  });
  scope.defer(server.close);

  // Before anything of a predecessor is taken out of the kernel, and until after everything of ours is.
  await moveDiscardPolicies(dataplane, plan.gateway, effects);
  const removeLeftovers = () => removeKernelLeftovers(running.plan.gateway, { runProgram, log });
  if (hadPredecessor) await removeLeftovers();
  scope.defer(files.restore);
  files.write(plan).commit();
  logFiles(log, plan);
  await addHostRoutes(plan.gateway, effects);
  const { virtualInterfaces } = plan.gateway;
  if (withInit) await makeVirtualInterfaces(virtualInterfaces, effects);
  else await requireVirtualInterfaces(virtualInterfaces, effects);
  let keeper: ReturnType<typeof keepVirtualInterfaces> | undefined;
  // Not before there is one, since that takes a process; a reload may bring the first.
  const keepInterfaces = (): void => {
    if (keeper !== undefined) keeper.look();
    else if (running.plan.gateway.virtualInterfaces.length > 0) {
      keeper = keepVirtualInterfaces(() => running.plan.gateway.virtualInterfaces, effects, environment);
      scope.defer(keeper.stop);
    }
  };
  keepInterfaces();

  // Beside the start of charon, which takes longer; but who counts on them is not to have a tunnel without.
  const packetRules = movePacketRules(dataplane, plan.gateway, effects);
  // What is still being made could not be taken back.
  scope.defer(async () => void (await Promise.allSettled([packetRules])));
  if (areDemanded(plan.gateway)) await packetRules;

  const watch = watchFiles({
    files: () => (running.plan.settings.gateway.IPSEC_WATCH ? running.files : undefined),
    onChange: reloads.ask,
    log,
  });
  scope.defer(watch.stop);

  // By the next life of charon.
  let loaded = Promise.withResolvers<void>();
  const lines = createDaemonLines(log, diagnostician, monitor);
  await supervise({
    log,
    control,
    start: () => ({
      daemon: running.plan.backend.daemon,
      environment,
      onLine: lines.take,
      expectPorts: !running.plan.settings.gateway.IPSEC_MANUAL_CHARON,
      killProcess,
      record: claim.record,
    }),
    load: async (charon) => {
      await packetRules;
      const { gateway, manual, backend } = running.plan;
      const wanted = { connections: gateway.connections, isMounted: manual };
      await loadEverything(charon, wanted, { backend, runProgram, log });
      loaded.resolve();
      loaded = Promise.withResolvers();
    },
    awaited: () => listAwaitedTunnels(running.plan.gateway, runProgram),
    expectedUp: () =>
      running.plan.gateway.connections
        .flatMap(({ children }) => children)
        .filter(({ atOnce }) => atOnce)
        .map(({ name }) => name),
    reloads,
    reload: async (charon) => {
      const { effect } = await reloads.serve(async () => {
        const { effect, report } = await reloadGateway(charon, { ...parts, server });
        return { effect, report: effect === "restart" ? loaded.promise.then(() => report) : report };
      });
      watch.follow();
      keepInterfaces();
      return effect;
    },
    follower: monitor,
    lastWords: lines.last,
    afterKill: removeLeftovers,
  });
};
