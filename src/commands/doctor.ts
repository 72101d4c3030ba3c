import { backends } from "../backend/backends.ts";
import { renderFiles } from "../backend/files.ts";
import { gatherHost, mountedFiles, requireNoFile, writeBundle } from "../doctor/bundle.ts";
import { checkDataplane } from "../doctor/check-machine.ts";
import { type CheckResult, ofProblems, result } from "../doctor/check-result.ts";
import { examine } from "../doctor/examine.ts";
import { lookAtGateway } from "../doctor/look-at-gateway.ts";
import { describeResults, inOrder, isHealthy, printResults } from "../doctor/print-results.ts";
import { readRuleset } from "../doctor/read-ruleset.ts";
import { type ExitCode, exitCodes, Failure, type Problem } from "../failure.ts";
import type { Dataplane } from "../gateway/dataplane.ts";
import { childEnvironment, createRunProgram, type RunProgram } from "../host/run-program.ts";
import { type Address, parseAddress } from "../ipsec/address.ts";
import { loadTemplates } from "../load-templates.ts";
import { createLog } from "../observe/log.ts";
import { createJsonScrubber, createScrubber } from "../observe/scrub.ts";
import { type Secret, secret } from "../secret.ts";
import { unwrapped } from "../settings/environment.ts";
import { isSecret } from "../settings/variables.ts";
import { virtualInterfaceVariable } from "../settings/virtual-interface-variable.ts";
import type { Context } from "./context.ts";
import { type InspectedSettings, inspectSettings } from "./load-settings.ts";
import { type PlannedGateway, planGateway } from "./planned-gateway.ts";
import { secretsOf } from "./secrets-of.ts";

export type DoctorOptions = {
  readonly json?: boolean;
  /** Has charon change the keys of every tunnel: the one thing that is not only looked at. */
  readonly rekey?: boolean;
  readonly target?: string;
  readonly bundle?: string;
};

/** Finds why a tunnel does not come up or does not carry: checks all that can be seen from here, and tells remedies. */
export const doctor = async (context: Context, options: DoctorOptions): Promise<ExitCode> => {
  const target = options.target === undefined ? undefined : targetOf(options.target);
  const { bundle } = options;
  if (bundle !== undefined) requireNoFile(bundle);
  const inspected = await inspectSettings(context.environment, "gateway");
  const secrets = secretsIn(inspected);
  const scrubText = createScrubber(() => secrets);
  const scrubJson = createJsonScrubber(() => secrets);

  const examined = await Promise.race([
    examineHere(context, inspected, { rekey: options.rekey ?? false, target, gathers: bundle !== undefined }),
    context.control.stop,
  ]);
  // Interrupted: half an examination is none.
  if (typeof examined === "string") return exitCodes.unhealthy;
  const { results, gathered } = examined;
  if (bundle !== undefined) {
    writeBundle(bundle, scrubJson(`${JSON.stringify(gathered, null, 2)}\n`));
    context.stderr.write(`wrote ${bundle}\n`);
  }
  context.stdout.write(
    options.json
      ? scrubJson(`${JSON.stringify(describeResults(results), null, 2)}\n`)
      : scrubText(printResults(results, context.stdout.hasColors)),
  );
  return isHealthy(results) ? exitCodes.ok : exitCodes.unhealthy;
};

type Wish = { readonly rekey: boolean; readonly target: Address | undefined; readonly gathers: boolean };

const examineHere = async (
  context: Context,
  inspected: InspectedSettings,
  { rekey, target, gathers }: Wish,
): Promise<{ readonly results: readonly CheckResult[]; readonly gathered?: object }> => {
  const runProgram = createRunProgram(childEnvironment(context.environment), await createSilentLog());
  const { gateway: wanted, tunnels = [] } = inspected.settings ?? {};
  const [look, dataplaneResults, rules] = await Promise.all([
    lookAtGateway(),
    checkDataplane(
      wanted?.IPSEC_DATAPLANE ?? "auto",
      tunnels.flatMap((tunnel) => virtualInterfaceVariable(tunnel) ?? [])[0],
      runProgram,
    ),
    readRuleset(runProgram),
  ]);
  const dataplane = look.status?.gateway.dataplane ?? dataplaneIn(dataplaneResults);
  const { planned, problems } = await plan(inspected, dataplane, runProgram);
  const examined = await examine({
    now: Date.now(),
    runProgram,
    searchPath: context.environment["PATH"],
    backend: planned?.backend ?? backends.stroke,
    dataplane,
    planned,
    look,
    rules,
    rekey,
    target,
  });
  const results = inOrder([...settingsResults(inspected, problems), ...dataplaneResults, ...examined]);
  if (!gathers) return { results };
  const gathered = {
    version: 1,
    createdAt: new Date().toISOString(),
    gateway: context.version,
    doctor: describeResults(results),
    check: { errors: inspected.errors, warnings: inspected.warnings },
    status: (await lookAtGateway()).status ?? null,
    files: planned === undefined ? [] : shownFiles(planned),
    host: await gatherHost(runProgram),
    firewall: rules.listings,
  };
  return { results, gathered };
};

/** Programs are run and results told, so there is nothing to log. */
const createSilentLog = () =>
  createLog({ level: "silent", format: "json", destination: { write: () => {} }, secrets: () => [] });

const targetOf = (text: string): Address => {
  const address = parseAddress(text);
  if (address.ok) return address.value;
  const problem = { ...address.problem, message: `--target: ${address.problem.message}` };
  throw new Failure([problem], exitCodes.usage);
};

/** Every secret that was given, right or wrong, as it was written and as it was read. */
const secretsIn = ({ environment, connections, settings }: InspectedSettings): readonly Secret[] => [
  ...[{ environment }, ...connections]
    .flatMap((each) => [...each.environment])
    .flatMap(([name, given]) => {
      if (!isSecret(name)) return [];
      if (given.isUnreadable) return [];
      const forms = given.bytes === undefined ? [given.text, unwrapped(given.text).text] : [given.bytes];
      return forms.map((form) => secret(typeof form === "string" ? new TextEncoder().encode(form) : form));
    }),
  ...(settings === undefined ? [] : secretsOf(settings)),
];

const dataplaneIn = (results: readonly CheckResult[]): Dataplane =>
  results.some(({ details }) => details?.["dataplane"] === "userspace") ? "userspace" : "kernel";

/** What the installed strongSwan does not know is as wrong as what the settings do not allow. */
const plan = async (
  { settings }: InspectedSettings,
  dataplane: Dataplane,
  runProgram: RunProgram,
): Promise<{ readonly planned?: PlannedGateway; readonly problems: readonly Problem[] }> => {
  if (settings === undefined) return { problems: [] };
  try {
    return { planned: await planGateway(settings, dataplane, runProgram), problems: [] };
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return { problems: error.problems };
  }
};

const settingsResults = (
  { errors, warnings }: InspectedSettings,
  problems: readonly Problem[],
): readonly CheckResult[] => {
  const results = [
    ...ofProblems("settings", "failure", [...errors, ...problems]),
    ...ofProblems("settings", "warning", warnings),
  ];
  return results.length > 0 ? results : [result("settings", "ok", "the environment is valid")];
};

/** With masked secrets; where the operator mounts the connections, those. */
const shownFiles = ({ backend, gateway, dataplane, manual, settings }: PlannedGateway) => [
  ...(manual ? mountedFiles() : []),
  ...renderFiles(backend, gateway, {
    templates: loadTemplates(),
    dataplane,
    manualCharon: settings.gateway.IPSEC_MANUAL_CHARON,
  }).map(({ path, text }) => ({ path, text })),
];
