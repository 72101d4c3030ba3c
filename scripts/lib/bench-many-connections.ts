import { readFileSync } from "node:fs";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import type { GatewayStatus } from "../../src/status/status-schema.ts";
import { ask } from "../../test/support/ask-gateway.ts";
import { createLab, type Lab } from "../../test/support/lab.ts";
import { connectionsFile, manyNetworks, peerOfMany } from "../../test/support/many-connections.ts";
import { defaultSearchPath } from "../../test/support/namespace.ts";
import { isReady, reload, stop } from "../../test/support/our-gateway.ts";
import type { SiteProcess } from "../../test/support/site-process.ts";
import { charonOf } from "../../test/support/traces.ts";
import { waitFor } from "../../test/support/wait-for.ts";
import { median, memoryOf, milliseconds, type Report } from "./bench-figures.ts";

const count = 1_000;
const configFile = "/etc/connections.yaml";

/** One gateway with a thousand connections; `command` is Node's arguments for vnf-ipsec. */
export const benchManyConnections = async (command: readonly string[], report: Report): Promise<void> => {
  await using lab = await createLab({ sun: { networks: manyNetworks(count) } });
  const bench = { lab, command, report };
  await benchLoading(bench);
  await benchEstablished(bench);
};

type Bench = { readonly lab: Lab; readonly command: readonly string[]; readonly report: Report };

/** In turn with swanctl, which loads the same files into a charon that has just started as ours has. */
const benchLoading = async (bench: Bench): Promise<void> => {
  const { lab, report } = bench;
  const { moon } = lab;
  const ours: number[] = [];
  const theirs: number[] = [];
  const reloads: number[] = [];
  const waits: number[] = [];
  const memory: { readonly own: number; readonly daemon: number }[] = [];
  await moon.writeFile(configFile, connectionsFile(lab, {}, "add"), 0o600);
  for (let round = 0; round < 3; round++) {
    const files = renderedFiles(
      await moon.run([process.execPath, ...bench.command, "render", "--show-secrets", "--json"], {
        env: environmentOf(lab),
      }),
    );
    const gateway = await startGateway(bench);
    ours.push(timeOf(gateway, "ready") - timeOf(gateway, "charon-started"));
    memory.push(memoryOfBoth(gateway));
    for (let change = 0; round === 0 && change < 15; change++) {
      const lifetime = `${120 + change}s`;
      await moon.writeFile(configFile, connectionsFile(lab, { "site-500": { lifetime } }, "add"), 0o600);
      const before = processorMilliseconds(gateway.pid);
      const begin = performance.now();
      await reload(gateway);
      waits.push(performance.now() - begin);
      reloads.push(processorMilliseconds(gateway.pid) - before);
    }
    await moon.writeFile(configFile, connectionsFile(lab, {}, "add"), 0o600);
    await stop(gateway);

    for (const { path, text, mode } of files) await moon.writeFile(path, text, Number.parseInt(mode, 8));
    const bare = moon.spawn(["/usr/lib/ipsec/charon"], { env: { PATH: defaultSearchPath } });
    await waitFor("charon", async () =>
      (await moon.exec(["swanctl", "--version"])).exitCode === 0 &&
      (await moon.exec(["swanctl", "--stats"])).exitCode === 0
        ? true
        : undefined,
    );
    const begin = performance.now();
    await moon.run(["swanctl", "--load-all", "--noprompt"]);
    theirs.push(performance.now() - begin);
    bare.signal("SIGTERM");
    await bare.exited;
    await moon.run(["rm", "-f", ...files.map(({ path }) => path)]);
  }
  report(
    "1,000 connections loaded",
    `${milliseconds(median(ours))}, swanctl --load-all ${milliseconds(median(theirs))}`,
    median(ours) < median(theirs),
  );
  report(
    "reload of 1 among 1,000",
    `${milliseconds(median(waits))}, of which our main thread ran ${milliseconds(median(reloads))}, bar 100 ms`,
    median(reloads) < 100,
  );
  const one = await withOneConnection(bench);
  const growth = (which: "own" | "daemon"): string =>
    `${(((median(memory.map((both) => both[which])) - one[which]) / (count - 1)) * 1024).toFixed(1)} KiB`;
  report("memory for a connection more", `${growth("own")} private, charon ${growth("daemon")}`);
};

const withOneConnection = async (bench: Bench): Promise<ReturnType<typeof memoryOfBoth>> => {
  const { lab } = bench;
  const { defaults, connections } = JSON.parse(connectionsFile(lab, {}, "add"));
  const alone = { defaults, connections: { "site-0": connections["site-0"] } };
  await lab.moon.writeFile(configFile, JSON.stringify(alone), 0o600);
  const gateway = await startGateway(bench);
  const memory = memoryOfBoth(gateway);
  await stop(gateway);
  return memory;
};

/** As many as come up in two minutes: where ESP runs in user space, and both ends on two processors, keys take their time. */
const benchEstablished = async (bench: Bench): Promise<void> => {
  const { lab, report } = bench;
  const { moon, sun } = lab;
  const peer = await sun.peer(peerOfMany(lab));
  await moon.writeFile(configFile, connectionsFile(lab), 0o600);
  const begin = performance.now();
  const gateway = await startGateway(bench);
  const upAfter = (): number => gateway.records().filter(({ event }) => event === "tunnel-up").length;
  while (upAfter() < count && performance.now() - begin < 120_000) await sleep(200);
  const established = upAfter();
  report(
    "tunnels that came up",
    `${established} of ${count} in ${((performance.now() - begin) / 1_000).toFixed(0)} s, both ends on this machine`,
  );
  const commands: number[] = [];
  const answers: number[] = [];
  const printing = [process.execPath, ...bench.command, "status", "--json"] as const;
  for (let round = 0; round < 5; round++) {
    const start = performance.now();
    const { connections } = JSON.parse((await ask(moon, "/status")).body) as GatewayStatus;
    answers.push(performance.now() - start);
    if (connections.length !== count) throw new Error("the status does not tell of every connection");
    const started = performance.now();
    await moon.run(printing, { env: environmentOf(lab) });
    commands.push(performance.now() - started);
  }
  report(
    `status of ${established} established SAs`,
    `${milliseconds(median(answers))}, bar 1,000 ms; the whole command ${milliseconds(median(commands))}`,
    median(answers) < 1_000,
  );
  const { own, daemon } = memoryOfBoth(gateway);
  report("memory with them", `private ${own.toFixed(1)} MiB, charon ${daemon.toFixed(1)} MiB`);
  await stop(gateway);
  await peer.stop();
};

/** Of the main thread: what a process has run does not depend on what else the machine does (Linux sched-stats.rst). */
const processorMilliseconds = (pid: number): number =>
  Number(readFileSync(`/proc/${pid}/task/${pid}/schedstat`, "utf8").split(" ")[0]) / 1e6;

const environmentOf = (lab: Lab): Record<string, string> => ({
  PATH: defaultSearchPath,
  IPSEC_CONFIG_FILE: configFile,
  IPSEC_BACKEND: "swanctl",
  IPSEC_DATAPLANE: lab.dataPlane,
});

const startGateway = async ({ lab, command }: Bench): Promise<SiteProcess> => {
  const gateway = lab.moon.spawn([process.execPath, ...command, "run"], { env: environmentOf(lab) });
  await isReady(gateway);
  return gateway;
};

const timeOf = (gateway: SiteProcess, event: string): number =>
  Date.parse(`${gateway.records().find((record) => record.event === event)?.["time"]}`);

const memoryOfBoth = (gateway: SiteProcess) => ({
  own: memoryOf(gateway.pid).private,
  daemon: memoryOf(charonOf(gateway)).private,
});

type Rendered = { readonly path: string; readonly text: string; readonly mode: string };

const renderedFiles = (output: string): readonly Rendered[] => JSON.parse(output).files;
