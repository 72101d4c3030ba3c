import process from "node:process";
import { createLab, type Lab } from "../test/support/lab.ts";
import { describeProcess, type LogRecord, type SiteProcess } from "../test/support/site-process.ts";
import { type Inhabitants, watchNamespaces } from "./inhabitants.ts";
import { openPage, type Page } from "./page.ts";
import {
  awaitTunnel,
  pingInClear,
  pingThroughTunnel,
  showAssociations,
  startGateways,
  stopGateways,
} from "./steps.ts";

/**
 * The main job, shown: two gateways of ours, a tunnel, packets. The exit code is 0 only if every step was seen to happen.
 * `scripts/demo` installs what this takes and runs it as root.
 */
const demo = async (page: Page, keep: boolean): Promise<number> => {
  const interruption = firstSignal();
  const gateways: SiteProcess[] = [];
  try {
    const seconds = await showEverything(page, gateways, interruption, keep);
    page.text("", `Every step happened, in ${seconds.toFixed(1)} seconds.`);
    return 0;
  } catch (error) {
    if (error instanceof Interrupted) {
      page.text("", `${error.message}: nothing is left`);
      return 130;
    }
    page.failure(error instanceof Error ? firstLine(error.message) : String(error));
    for (const gateway of gateways) {
      page.text("", ...logOf(gateway));
    }
    return 1;
  }
};

/** Returns how long it took, waiting for a person left out. */
const showEverything = async (
  page: Page,
  gateways: SiteProcess[],
  interruption: Promise<NodeJS.Signals>,
  keep: boolean,
): Promise<number> => {
  const orInterrupted = <Outcome>(work: Promise<Outcome>): Promise<Outcome> =>
    Promise.race([work, interruption.then((signal) => Promise.reject(new Interrupted(signal)))]);
  let seconds = 0;
  const timed = async <Outcome>(work: () => Promise<Outcome>): Promise<Outcome> => {
    const startMs = performance.now();
    const outcome = await work();
    seconds += (performance.now() - startMs) / 1000;
    return outcome;
  };

  page.title("vnf-ipsec: two sites, one tunnel");
  page.step("Two sites in two network namespaces");
  await using lab = await timed(createLab);
  using inhabitants = watchNamespaces([lab.moon.pid, lab.sun.pid]);
  page.text("", ...picture, "");
  page.seen("nothing in them reaches this host's network or is reached from it");

  const running = await timed(() => orInterrupted(tunnelUp(page, lab, gateways)));
  if (keep) {
    await holdUntil(page, lab, interruption);
    await timed(() => stopGateways(page, lab, running, inhabitants));
  } else {
    await timed(() => orInterrupted(stopGateways(page, lab, running, inhabitants)));
  }
  await timed(() => removeSites(page, lab, inhabitants));
  return seconds;
};

const tunnelUp = async (page: Page, lab: Lab, gateways: SiteProcess[]) => {
  const before = await pingInClear(page, lab);
  const witness = await lab.captureWire("ip");
  const running = await startGateways(page, lab, (gateway) => gateways.push(gateway));
  await awaitTunnel(page, running);
  await pingThroughTunnel(page, lab, witness);
  await showAssociations(page, lab);
  return { ...running, before };
};

const holdUntil = async (page: Page, lab: Lab, interruption: Promise<NodeJS.Signals>): Promise<void> => {
  page.step("It stays until Ctrl-C. Meanwhile, as root:");
  for (const { name, pid } of [lab.moon, lab.sun]) {
    page.text("", `   enter ${name}:`);
    page.command(`nsenter --target ${pid} --net --mount`);
  }
  page.text("", "   and there, for example:");
  for (const command of [
    `ping -I ${lab.moon.host} ${lab.sun.host}    (in moon)`,
    "swanctl --list-sas",
    "tcpdump -ni eth0",
  ]) {
    page.command(command);
  }
  await interruption;
};

const removeSites = async (page: Page, lab: Lab, inhabitants: Inhabitants): Promise<void> => {
  await lab.destroy();
  const survivors = inhabitants.list();
  if (survivors.length > 0) {
    throw new Error(`processes survive their site: ${survivors.join(", ")}`);
  }
  page.seen("both sites are gone: no process, so no namespace, interface or mount either");
};

const firstSignal = (): Promise<NodeJS.Signals> =>
  new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      process.once(signal, resolve);
    }
  });

class Interrupted extends Error {
  constructor(signal: NodeJS.Signals) {
    super(`interrupted by ${signal}`);
  }
}

const firstLine = (text: string): string => text.split("\n")[0] ?? "";

const logOf = (gateway: SiteProcess): string[] => [
  describeProcess(gateway).split("\n")[0] ?? "",
  ...gateway.records().map(({ time, level, message }: LogRecord) => `${time} ${level} ${message}`),
  ...gateway.stderr().trimEnd().split("\n"),
];

const picture = [
  "        moon                                                      sun",
  "    10.1.0.0/24                                               10.2.0.0/24",
  "         |                                                         |",
  "    +---------+ 192.0.2.1                       192.0.2.2 +---------+",
  "    | gateway |===========================================| gateway |",
  "    +---------+               IPsec tunnel                +---------+",
];

process.exitCode = await demo(openPage(), process.argv.includes("--keep"));
