import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { Failure } from "../../../src/failure.ts";
import { applySteps, type Effects, undoAll } from "../../../src/host/apply.ts";
import { memoryJournal } from "../../../src/host/journal.ts";
import type { RunProgram } from "../../../src/host/run-program.ts";
import { partsOfProcesses } from "../../../src/host/run-together.ts";
import { type Argv, pasteable, type Step } from "../../../src/host/step.ts";
import { createLog } from "../../../src/observe/log.ts";

const route = (index: number): Argv => ["ip", "route", "add", `10.2.${index}.0/24`, "dev", "lo"];

const routeStep = (index: number): Step => ({
  why: `add route ${index}`,
  argv: route(index),
  undo: ["ip", "route", "del", `10.2.${index}.0/24`, "dev", "lo"],
});

const steps = (count: number): readonly Step[] =>
  Array.from({ length: count }, (_, index) => routeStep(index));

const lengthsOf = (commands: readonly Argv[]): readonly number[] =>
  partsOfProcesses(commands, (argv) => argv).map((part) => part.length);

test("a few commands are run one by one, many by one process, in their order", () => {
  const many = Array.from({ length: 20 }, (_, index) => route(index));
  assert.deepEqual(lengthsOf(many.slice(0, 3)), [1, 1, 1]);
  assert.deepEqual(lengthsOf(many), [20]);
  assert.deepEqual(partsOfProcesses(many, (argv) => argv).flat(), many);
});

test("what ends a batch, what is no line of one and what is not ip's stand by themselves", () => {
  const many = Array.from({ length: 10 }, (_, index) => route(index));
  for (const odd of [
    ["ip", "xfrm", "policy", "deleteall", "src", "10.1.0.0/24"],
    ["ip", "-6", "route", "add", "2001:db8::/64", "dev", "lo"],
    ["ip", "route", "add", "10.9.0.0/24", "dev", "a'b"],
    ["ip", "route", "add", "10.9.0.0/24", "dev", "a\nlink del lo"],
    ["sysctl", "-w", "net.ipv4.ip_forward=1"],
  ] as const satisfies readonly Argv[])
    assert.deepEqual(lengthsOf([...many, odd, ...many]), [10, 1, 10], pasteable(odd));
});

/** Runs programs in network namespaces of their own: each call begins with these commands and ends with a listing. */
const inNamespace = async () => {
  const records: Record<string, unknown>[] = [];
  const ran: string[] = [];
  let routes: readonly string[] = [];
  const journal = memoryJournal();
  const runProgram: RunProgram = async (argv, input = "") => {
    ran.push(pasteable(argv));
    const present = routes.map((line) => `ip route add ${line} dev lo;`).join("");
    const script = `ip link set lo up; ${present} "$@"; code=$?; echo end; ip route show | sed 's/ .*//'; exit $code`;
    const run = (): { code: number; stdout: string; stderr: string } => {
      try {
        const stdout = execFileSync("unshare", ["--net", "bash", "-c", script, "bash", ...argv], {
          input,
          encoding: "utf8",
          stdio: ["pipe", "pipe", "pipe"],
        });
        return { code: 0, stdout, stderr: "" };
      } catch (error) {
        const { status, stdout, stderr } = error as { status: number; stdout: string; stderr: string };
        return { code: status, stdout, stderr };
      }
    };
    const { code, stdout, stderr } = run();
    routes = (stdout.split("end\n")[1] ?? "").split("\n").filter(Boolean);
    return { exitCode: code, stdout: "", stderr };
  };
  const log = await createLog({
    level: "info",
    format: "json",
    destination: { write: (line: string) => void records.push(JSON.parse(line)) },
    secrets: () => [],
  });
  const effects: Effects = { log, journal, runProgram };
  return { effects, ran, records, routes: () => routes };
};

test("many changes take one process to make and one to take back, and each is logged as a command", async () => {
  const { effects, ran, records, routes } = await inNamespace();
  await applySteps(steps(30), effects);
  assert.deepEqual(ran, ["ip -batch -"]);
  assert.equal(routes().length, 30);
  assert.equal(effects.journal.entries().length, 30);
  await undoAll(effects);
  assert.deepEqual(ran, ["ip -batch -", "ip -force -batch -"]);
  assert.deepEqual(routes(), []);
  assert.deepEqual(effects.journal.entries(), []);
  const logged = (event: string) =>
    records.filter((one) => one["event"] === event).map(({ command }) => command);
  assert.deepEqual(
    logged("host-changed"),
    steps(30).map(({ argv }) => pasteable(argv)),
  );
  assert.deepEqual(
    logged("host-restored"),
    steps(30)
      .map(({ undo }) => pasteable(undo as Argv))
      .toReversed(),
  );
});

test("the command that fails among many is told with its words, and those before it are taken back", async () => {
  const { effects, routes } = await inNamespace();
  const wrong: Step = { ...routeStep(12), argv: ["ip", "route", "add", "10.2.12.0/24", "dev", "nosuch"] };
  await assert.rejects(
    applySteps([...steps(12), wrong, ...steps(30).slice(13)], effects),
    (error: unknown) => {
      assert.ok(error instanceof Failure);
      assert.equal(
        error.message,
        'cannot add route 12: ip route add 10.2.12.0/24 dev nosuch: Cannot find device "nosuch"',
      );
      return true;
    },
  );
  assert.deepEqual(routes(), []);
  assert.deepEqual(effects.journal.entries(), []);
});

test("what is gone among many is a warning each, and the others are taken back", async () => {
  const { effects, records, routes } = await inNamespace();
  await applySteps(steps(20), effects);
  await effects.runProgram(["ip", "route", "del", "10.2.3.0/24"]);
  await effects.runProgram(["ip", "route", "del", "10.2.7.0/24"]);
  await undoAll(effects);
  assert.deepEqual(routes(), []);
  assert.deepEqual(
    records.filter(({ level }) => level === "warn").map(({ command, reason }) => [command, reason]),
    [7, 3].map((index) => [`ip route del 10.2.${index}.0/24 dev lo`, "RTNETLINK answers: No such process"]),
  );
});

test("where ip cannot be run at all, nothing is left to take back", async () => {
  const { effects } = await inNamespace();
  const runProgram: RunProgram = async () => ({ exitCode: 127, stdout: "", stderr: "spawn ip ENOENT" });
  await assert.rejects(applySteps(steps(20), { ...effects, runProgram }), /spawn ip ENOENT/);
  assert.deepEqual(effects.journal.entries(), []);
});
