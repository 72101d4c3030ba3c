import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import fc from "fast-check";
import { runCommand, searchPath } from "../support/command.ts";
import {
  asCommand,
  formsOfCanary,
  type HostileCase,
  hostileEnvironment,
  hostileSeed,
  materialize,
} from "../support/hostile-environment.ts";
import { attempts } from "../support/scale.ts";

const directory = mkdtempSync(join(tmpdir(), "vnf-ipsec-hostile-"));
after(() => rmSync(directory, { recursive: true, force: true }));

const commands = [["check"], ["render"], ["check", "--json"], ["render", "--json"], ["run"]] as const;

/** Without any capability `run` ends where it would begin to change the host. */
const powerless = ["/usr/bin/setpriv", "--bounding-set=-all", "--inh-caps=-all", "--"];

test("the command survives any environment, in words, in bounds and without its secret", async () => {
  const seed = hostileSeed();
  const hostile = fc.sample(hostileEnvironment(), { seed, numRuns: attempts({ usual: 60, full: 2_000 }) });
  const queue = hostile.entries();
  const worker = async (): Promise<void> => {
    for (const [index, one] of queue) await tryOne(one, index, seed);
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
});

const tryOne = async (hostile: HostileCase, index: number, seed: number): Promise<void> => {
  const own = join(directory, `${index}`);
  mkdirSync(own, { mode: 0o755 });
  const environment = materialize(hostile, own);
  const command = commands[index % commands.length] ?? commands[0];
  const { exitCode, stdout, stderr } = await runCommand(
    command,
    { ...environment, PATH: searchPath },
    { through: powerless },
  );
  rmSync(own, { recursive: true });
  const context = `seed ${seed}, number ${index}: ${command.join(" ")} of\n${asCommand(hostile)}\nended with ${exitCode}:\n${stderr.slice(0, 2000)}`;
  assert.ok([0, 64, 69, 74, 77, 78].includes(exitCode ?? -1), context);
  if (command[0] === "run") assert.notEqual(exitCode, 0, context);
  assert.ok(Buffer.byteLength(stderr) < 64 * 1024, context);
  assert.doesNotMatch(stderr, /^\s+at .*:\d+:\d+|this is a bug/m, context);
  for (const form of formsOfCanary(hostile.canary))
    assert.ok(!(stdout + stderr).includes(form), `shows ${form}; ${context}`);
};
