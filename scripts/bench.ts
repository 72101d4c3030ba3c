import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { backends } from "../src/backend/backends.ts";
import { renderFiles } from "../src/backend/files.ts";
import { buildGateway } from "../src/gateway/from-settings.ts";
import type { Gateway } from "../src/gateway/gateway.ts";
import { loadTemplates } from "../src/load-templates.ts";
import { parseSettings } from "../src/settings/parse-settings.ts";
import { connectVici } from "../src/vici/client.ts";
import { listLoadedConnections } from "../src/vici/listings.ts";
import { createLab } from "../test/support/lab.ts";
import { defaultSearchPath } from "../test/support/namespace.ts";
import type { Site } from "../test/support/site.ts";
import type { SiteProcess } from "../test/support/site-process.ts";
import { median, memoryOf, milliseconds, type Report } from "./lib/bench-figures.ts";
import { benchManyConnections } from "./lib/bench-many-connections.ts";

/**
 * Measures what the gateway costs, always beside what it stands on (bare Node, bare charon) and in turn with it,
 * so that a machine that is slow or busy changes both. Prints medians and ratios; ends with 1 when a bar is missed.
 * Needs root and strongSwan for the part with charon.
 */
const root = fileURLToPath(new URL("..", import.meta.url));
const bundle = join(root, "dist", "vnf-ipsec");
const rounds = Number(process.argv[2] ?? 21);

const environment = {
  IPSEC_LOCALIP: "192.0.2.1",
  IPSEC_LOCALID: "moon.example.com",
  IPSEC_LOCALNET: "10.1.0.0/24",
  IPSEC_REMOTEIP: "192.0.2.2",
  IPSEC_REMOTEID: "sun.example.com",
  IPSEC_REMOTENET: "10.2.0.0/24",
  IPSEC_PSK: "a-key-of-the-bench-that-guards-nothing",
};

const scraping = `
  (async () => {
    for (let count = 0; count < 100; count++) await (await fetch("http://127.0.0.1:9100/metrics")).text();
  })();
`;

const timing = `
  const { spawnSync } = require("node:child_process");
  const [bundle, rounds] = process.argv.slice(1);
  const time = (words) => {
    const begin = performance.now();
    if (spawnSync(process.execPath, words).status !== 0) throw new Error(words.join(" ") + " failed");
    return performance.now() - begin;
  };
  const pairs = Array.from({ length: Number(rounds) + 1 }, () => [time([bundle, "healthcheck"]), time(["-e", "0"])]);
  console.log(JSON.stringify(pairs.slice(1)));
`;

const results: { readonly what: string; readonly figures: string; readonly met: boolean | undefined }[] = [];
const report: Report = (what, figures, met) => {
  results.push({ what, figures, met });
  process.stdout.write(
    `${what.padEnd(42)} ${figures.padEnd(58)} ${met === undefined ? "" : met ? "ok" : "MISSED"}\n`,
  );
};

if (!existsSync(bundle)) {
  const built = spawnSync(process.execPath, [join(root, "scripts", "build.ts")], { stdio: "inherit" });
  if (built.status !== 0) process.exit(1);
}
process.stdout.write(`Node ${process.version}, ${rounds} rounds, medians\n\n`);
const bareNode = benchCommands();
benchRendering();
await benchRun(bareNode);
await benchStatus();
await benchManyConnections([bundle], report);
if (results.some(({ met }) => met === false)) process.exitCode = 1;

/** Returns the median time of bare Node in milliseconds. */
function benchCommands(): number {
  const bars = [
    ["--version", 1.6],
    ["check", 2.6],
    ["render", 2.6],
  ] as const;
  const bare: number[] = [];
  for (const [command, bar] of bars) {
    const ours: number[] = [];
    const theirs: number[] = [];
    for (let round = 0; round <= rounds; round++) {
      const pair = [timeNode([bundle, command]), timeNode(["-e", "0"])] as const;
      // The first warms the caches of files.
      if (round === 0) continue;
      ours.push(pair[0]);
      theirs.push(pair[1]);
    }
    bare.push(...theirs);
    const ratio = median(ours.map((time, index) => time / (theirs[index] as number)));
    const figures = `${milliseconds(median(ours))}, bare node ${milliseconds(median(theirs))}: ${ratio.toFixed(2)} ×, bar ${bar} ×`;
    report(`vnf-ipsec ${command}`, figures, ratio <= bar);
  }
  return median(bare);
}

function timeNode(words: readonly string[]): number {
  const begin = performance.now();
  const { status, stderr } = spawnSync(process.execPath, words, {
    env: { PATH: process.env["PATH"] ?? "", ...environment },
  });
  if (status !== 0) throw new Error(`node ${words.join(" ")} ended with ${status}: ${stderr}`);
  return performance.now() - begin;
}

function benchRendering(): void {
  const templates = loadTemplates();
  const time = (connections: number): number => {
    const gateway = gatewayOf(connections);
    const begin = performance.now();
    renderFiles(backends.stroke, gateway, { templates, dataplane: "kernel", manualCharon: false });
    return performance.now() - begin;
  };
  time(1_000);
  const [one, hundred, many] = [1, 100, 10_000].map((connections) =>
    median(Array.from({ length: 5 }, () => time(connections))),
  ) as [number, number, number];
  report("render 1 connection", milliseconds(one));
  report("render 100 connections", milliseconds(hundred));
  report("render 10,000 connections", `${milliseconds(many)}, bar 2,000 ms`, many < 2_000);
  const growth = many / hundred;
  report(
    "10,000 against 100 connections",
    `${growth.toFixed(0)} × the time, bar 200 × (100 × is linear)`,
    growth <= 200,
  );
}

function gatewayOf(connections: number): Gateway {
  const given = new Map(Object.entries(environment).map(([name, text]) => [name, { text, source: "bench" }]));
  const { settings } = parseSettings(given, "gateway");
  const first = settings?.connections[0];
  if (settings === undefined || first === undefined)
    throw new Error("the environment of the bench is not valid");
  const many = Array.from({ length: connections }, (_, index) => ({ ...first, IPSEC_NAME: `site-${index}` }));
  return buildGateway({ ...settings, connections: many });
}

async function benchRun(bareNodeMs: number): Promise<void> {
  await using lab = await createLab();
  const { moon } = lab;
  const rendered = spawnSync(process.execPath, [bundle, "render", "--show-secrets", "--json"], {
    env: { ...environment, IPSEC_DATAPLANE: lab.dataPlane },
    encoding: "utf8",
  });
  const { files } = JSON.parse(rendered.stdout) as {
    readonly files: readonly { path: string; text: string; mode: string }[];
  };
  const ours: number[] = [];
  const theirs: number[] = [];
  let atRest = "";
  for (let round = 0; round < Math.max(5, Math.floor(rounds / 2)); round++) {
    const gateway = moon.spawn([process.execPath, bundle, "run"], {
      env: { PATH: defaultSearchPath, ...environment, IPSEC_DATAPLANE: lab.dataPlane },
    });
    ours.push(await untilLoaded(moon, gateway));
    await gateway.waitForRecord((record) => record["event"] === "ready");
    atRest = memoryText(gateway.pid);
    await ended(gateway);

    for (const { path, text, mode } of files) await moon.writeFile(path, text, Number.parseInt(mode, 8));
    const bare = moon.spawn(["ipsec", "start", "--nofork"], { env: { PATH: defaultSearchPath } });
    theirs.push(await untilLoaded(moon, bare));
    await ended(bare);
  }
  const bar = 1.5 * median(theirs) + 3 * bareNodeMs;
  const figures = `${milliseconds(median(ours))}, bare charon ${milliseconds(median(theirs))}, bar ${milliseconds(bar)}`;
  report("run, from start to connection loaded", figures, median(ours) <= bar);
  report("memory of run at rest", atRest);
  const idle = moon.spawn([
    process.execPath,
    "-e",
    "setInterval(() => {}, 1e6); process.stdout.write('ready')",
  ]);
  await idle.waitForOutput(/ready/);
  report("memory of bare node at rest", memoryText(idle.pid));
  await ended(idle);
}

/** Looks from outside, alike for both, and returns the milliseconds since it began. */
async function untilLoaded(site: Site, process: SiteProcess): Promise<number> {
  const begin = performance.now();
  while (performance.now() - begin < 20_000) {
    const vici = await connectVici(site.fromOutside("/run/charon.vici")).catch(() => undefined);
    const loaded = vici && (await listLoadedConnections(vici).catch(() => undefined));
    vici?.close();
    if (loaded?.some(({ name }) => name === "site")) return performance.now() - begin;
    await sleep(2);
  }
  throw new Error(`the connection was not loaded within 20 s\n${process.output()}`);
}

async function ended(process: SiteProcess): Promise<void> {
  process.signal("SIGTERM");
  await process.exited;
}

/** What is asked of a gateway that runs: by its own health check, and by Prometheus over TCP. */
async function benchStatus(): Promise<void> {
  await using lab = await createLab();
  const { moon } = lab;
  const settings = { PATH: defaultSearchPath, ...environment, IPSEC_DATAPLANE: lab.dataPlane };
  const started = async (changes: Record<string, string>): Promise<SiteProcess> => {
    const gateway = moon.spawn([process.execPath, bundle, "run"], { env: { ...settings, ...changes } });
    await gateway.waitForRecord((record) => record["event"] === "ready");
    return gateway;
  };
  const quiet: number[] = [];
  const asked: number[] = [];
  for (let round = 0; round < 3; round++) {
    const without = await started({});
    quiet.push(memoryOf(without.pid).private);
    if (round === 0) await benchHealthcheck(moon);
    await ended(without);
    const listening = await started({ IPSEC_HTTP_LISTEN: "127.0.0.1:9100" });
    await moon.run([process.execPath, "-e", scraping]);
    asked.push(memoryOf(listening.pid).private);
    await ended(listening);
  }
  const added = median(asked) - median(quiet);
  report(
    "memory that the HTTP listener adds",
    `${mebibytes(added)} after 100 scrapes, bar 15 MiB`,
    added < 15,
  );
}

/** Timed from inside the site, so that the way into it is not. */
async function benchHealthcheck(site: Site): Promise<void> {
  const pairs = JSON.parse(
    await site.run([process.execPath, "-e", timing, bundle, `${rounds}`], {
      env: { PATH: defaultSearchPath },
    }),
  ) as readonly (readonly [ours: number, theirs: number])[];
  const ratio = median(pairs.map(([ours, theirs]) => ours / theirs));
  const [ours, theirs] = [0, 1].map((index) => median(pairs.map((pair) => pair[index] as number))) as [
    number,
    number,
  ];
  const figures = `${milliseconds(ours)}, bare node ${milliseconds(theirs)}: ${ratio.toFixed(2)} ×, bar 2 ×`;
  report("vnf-ipsec healthcheck", figures, ratio <= 2);
}

function memoryText(pid: number): string {
  const memory = memoryOf(pid);
  return `private ${mebibytes(memory.private)}, proportional ${mebibytes(memory.proportional)}`;
}

function mebibytes(value: number): string {
  return `${value.toFixed(1)} MiB`;
}
