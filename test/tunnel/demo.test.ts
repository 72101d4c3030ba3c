import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import process from "node:process";
import { test } from "node:test";
import { stripVTControlCharacters } from "node:util";
import { defaultSearchPath } from "../support/namespace.ts";
import { repository } from "../support/repository.ts";
import { waitFor } from "../support/wait-for.ts";

const psk = /^IPSEC_PSK='(.*)'$/m.exec(readFileSync(`${repository}/demo/moon.env`, "utf8"))?.[1] ?? "";

test("the demo shows the tunnel, its packets and its SAs within 80 columns, and leaves nothing", async () => {
  const mounts = readFileSync("/proc/self/mountinfo", "utf8");
  const demo = startDemo();
  assert.equal(await demo.exitCode, 0, demo.output());
  const page = demo.output();
  for (const wanted of [
    /^ +10\.1\.0\.1 > 10\.2\.0\.1: ICMP echo request/m,
    /^ +ENVFILE=demo\/moon\.env vnf-ipsec run$/m,
    /^ +ok {2}data plane: .*(?:kernel|user space)/m,
    /^ +ok {2}moon 10\.1\.0\.1 pings sun 10\.2\.0\.1: 3 of 3 answered$/m,
    /^ +ok {2}sun 10\.2\.0\.1 pings moon 10\.1\.0\.1: 3 of 3 answered$/m,
    /^ +192\.0\.2\.1\.4500 > 192\.0\.2\.2\.4500: UDP-encap: ESP\(spi=0x/m,
    /^ +ok {2}\d+ packets of IKE, 12 of ESP in UDP, 0 others/m,
    /^ +IKE SA +IKEv2, ESTABLISHED +IKEv2, ESTABLISHED$/m,
    /^ +CHILD SA +ESP tunnel, INSTALLED +ESP tunnel, INSTALLED$/m,
    /^ +ok {2}both ended with 0 within \d+ ms$/m,
    /^ +ok {2}both sites are gone/m,
    /^Every step happened, in [\d.]+ seconds\.$/m,
  ]) {
    assert.match(page, wanted);
  }
  assert.deepEqual(
    page.split("\n").filter((line) => line.length > 80),
    [],
  );
  assert.equal(stripVTControlCharacters(page), page, "colours although this is no terminal");
  assert.ok(psk.length >= 20 && !page.includes(psk));
  assert.deepEqual(demo.left(), []);
  assert.equal(readFileSync("/proc/self/mountinfo", "utf8"), mounts);
});

test("with --keep the demo stays until Ctrl-C, says how to enter the sites, then ends in order", async () => {
  const demo = startDemo(["--keep"]);
  await demo.waitForOutput(/^ +tcpdump -ni eth0$/m);
  const pids = [...demo.output().matchAll(/nsenter --target (\d+) --net --mount$/gm)].map(([, pid]) => pid);
  const networks = [...pids, "self"].map((pid) => readlinkSync(`/proc/${pid}/ns/net`));
  assert.equal(new Set(networks).size, 3);

  demo.pressControlC();
  assert.equal(await demo.exitCode, 0, demo.output());
  assert.match(demo.output(), /^ +ok {2}both ended with 0.*^Every step happened/ms);
  assert.deepEqual(demo.left(), []);
});

test("a demo that is interrupted on its way leaves nothing and does not end with 0", async () => {
  const demo = startDemo();
  await demo.waitForOutput(/vnf-ipsec run$/m);
  demo.pressControlC();
  assert.equal(await demo.exitCode, 130, demo.output());
  assert.doesNotMatch(demo.output(), /Every step happened/);
  assert.deepEqual(demo.left(), []);
});

test("a demo whose gateways do not come up says so, shows what they said and ends with 1", async () => {
  const demo = startDemo([], { VNF_IPSEC_COMMAND: "ls /nowhere" });
  assert.equal(await demo.exitCode, 1, demo.output());
  assert.match(demo.output(), /^FAILED: sun: .*\n(?:.*\n)*.*cannot access '\/nowhere'/m);
  assert.doesNotMatch(demo.output(), /Every step happened/);
  assert.deepEqual(demo.left(), []);
});

test("the demo refuses what it does not know", async () => {
  const demo = startDemo(["--kepe"]);
  assert.equal(await demo.exitCode, 64);
  assert.match(demo.output(), /^scripts\/demo: error: there is no --kepe\nscripts\/demo: hint: /);
});

let started = 0;

const startDemo = (words: readonly string[] = [], variables: { readonly [name: string]: string } = {}) => {
  started += 1;
  // In the environment of all that the demo starts, so that what outlives it can be found.
  const mark = `${process.pid}-${started}`;
  const child = spawn(`${repository}/scripts/demo`, words, {
    // As a terminal does it: a process group that Ctrl-C reaches as a whole.
    detached: true,
    env: { PATH: defaultSearchPath, DEMO_TEST: mark, ...variables },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (chunk: string) => {
      output += chunk;
    });
  }
  return {
    output: () => output,
    exitCode: once(child, "close").then(([exitCode]) => exitCode as number | null),
    waitForOutput: (pattern: RegExp) =>
      waitFor(
        `output like ${pattern}`,
        () => {
          assert.equal(child.exitCode, null, output);
          return pattern.exec(output) ?? undefined;
        },
        { explain: () => output },
      ),
    pressControlC: () => process.kill(-(child.pid ?? 0), "SIGINT"),
    left: () => processesMarked(`DEMO_TEST=${mark}`),
  };
};

const processesMarked = (mark: string): string[] =>
  readdirSync("/proc").filter((entry) => /^\d+$/.test(entry) && environmentOf(entry).includes(mark));

/** Empty for a process that has ended meanwhile. */
const environmentOf = (pid: string): readonly string[] => {
  try {
    return readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
  } catch {
    return [];
  }
};
