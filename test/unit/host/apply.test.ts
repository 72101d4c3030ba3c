import assert from "node:assert/strict";
import { test } from "node:test";
import { type ExitCode, exitCodes, Failure } from "../../../src/failure.ts";
import { applySteps, type Effects, undoAll } from "../../../src/host/apply.ts";
import { memoryJournal } from "../../../src/host/journal.ts";
import { type Argv, pasteable, type Step } from "../../../src/host/step.ts";
import { createLog } from "../../../src/observe/log.ts";

/** Programs that end as `refusals` says by the pasted command, all others in 0; with what was run and logged. */
const openHost = async (refusals: Readonly<Record<string, { exitCode?: number; stderr: string }>> = {}) => {
  const ran: string[] = [];
  const records: Record<string, unknown>[] = [];
  const log = await createLog({
    level: "info",
    format: "json",
    destination: { write: (line: string) => void records.push(JSON.parse(line)) },
    secrets: () => [],
  });
  const journal = memoryJournal();
  const effects: Effects = {
    log,
    journal,
    runProgram: async (argv) => {
      const command = pasteable(argv);
      ran.push(command);
      const refusal = refusals[command];
      if (refusal === undefined) return { exitCode: 0, stdout: "", stderr: "" };
      return { exitCode: refusal.exitCode ?? 2, stdout: "", stderr: refusal.stderr };
    },
  };
  const left = () => journal.entries().map(pasteable);
  const events = (name: string) => records.filter((record) => record["event"] === name);
  return { effects, ran, left, events, records };
};

const step = (name: string): Step => ({
  why: `make ${name}`,
  argv: ["make", name],
  undo: ["unmake", name],
});

const failureOf = async (refused: Step, stderr: string, exitCode?: number): Promise<Failure> => {
  const { effects } = await openHost({
    [pasteable(refused.argv)]: exitCode === undefined ? { stderr } : { stderr, exitCode },
  });
  const error = await applySteps([refused], effects).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof Failure, String(error));
  return error;
};

test("steps are made in order, each told before, and the journal holds what takes them back", async () => {
  const { effects, ran, left, events } = await openHost();
  await applySteps([step("a"), { why: "ask", argv: ["ask"] }, step("b")], effects);
  assert.deepEqual(ran, ["make a", "ask", "make b"]);
  assert.deepEqual(left(), ["unmake a", "unmake b"]);
  assert.deepEqual(
    events("host-changed").map(({ command, message }) => [command, message]),
    [
      ["make a", "make a"],
      ["ask", "ask"],
      ["make b", "make b"],
    ],
  );
});

test("the journal knows how to take a change back before it is made", async () => {
  const { effects, left } = await openHost();
  const seen: (readonly string[])[] = [];
  const runProgram: Effects["runProgram"] = async (argv) => {
    seen.push(left());
    return effects.runProgram(argv);
  };
  await applySteps([step("a"), step("b")], { ...effects, runProgram });
  assert.deepEqual(seen, [["unmake a"], ["unmake a", "unmake b"]]);
});

test("a failure takes back the steps before it in reverse, not the one that failed, and makes none after it", async () => {
  const { effects, ran, left, events } = await openHost({ "make c": { stderr: "no" } });
  await assert.rejects(applySteps(["a", "b", "c", "d"].map(step), effects), Failure);
  assert.deepEqual(ran, ["make a", "make b", "make c", "unmake b", "unmake a"]);
  assert.deepEqual(left(), []);
  assert.equal(events("host-restored").length, 2);
});

test("a failure leaves what earlier calls have made", async () => {
  const { effects, ran, left } = await openHost({ "make c": { stderr: "no" } });
  await applySteps([step("a")], effects);
  await assert.rejects(applySteps([step("b"), step("c")], effects), Failure);
  assert.deepEqual(ran, ["make a", "make b", "make c", "unmake b"]);
  assert.deepEqual(left(), ["unmake a"]);
});

test("an optional step that fails is a warning with its reason, and the next is made", async () => {
  const optional: Step = { why: "load the module x", argv: ["modprobe", "x"], optional: true };
  const { effects, ran, events } = await openHost({ "modprobe x": { stderr: "first line\nnot found\n" } });
  await applySteps([optional, step("a")], effects);
  assert.deepEqual(ran, ["modprobe x", "make a"]);
  const [warning, ...others] = events("host-unchanged");
  assert.deepEqual(others, []);
  assert.equal(warning?.["level"], "warn");
  assert.equal(warning?.["command"], "modprobe x");
  assert.equal(warning?.["reason"], "not found");
  assert.equal(warning?.["message"], "cannot load the module x");
});

test("a failure names purpose, command and the last line of what it said, or its exit code when it said nothing", async () => {
  const failed = await failureOf(step("a b"), "warning\nRTNETLINK answers: File exists\n");
  assert.equal(failed.message, "cannot make a b: make 'a b': RTNETLINK answers: File exists");
  assert.match((await failureOf(step("a"), " \n", 7)).message, /: exit code 7$/);
});

test("a refusal for want of permission ends in 77, anything else in 69", async () => {
  for (const [stderr, exitCode] of [
    ["RTNETLINK answers: Operation not permitted", exitCodes.permission],
    ["sysctl: permission denied on key 'net.ipv4.conf.vti42.disable_policy'", exitCodes.permission],
    ["RTNETLINK answers: File exists", exitCodes.unavailable],
    ["Error: Unknown device type.", exitCodes.unavailable],
  ] as const satisfies readonly (readonly [string, ExitCode])[])
    assert.equal((await failureOf(step("a"), stderr)).exitCode, exitCode, stderr);
});

test("the remedy fits the reason", async () => {
  const ip: Step = { why: "create it", argv: ["ip", "link", "add"] };
  const sysctl: Step = {
    why: "set it",
    argv: ["sysctl", "-w", "net.ipv4.conf.vti42.disable_policy=1"],
  };
  for (const [failed, stderr, hint] of [
    [ip, "Error: Unknown device type.", /modprobe ip_vti, ip6_vti or xfrm_interface/],
    [ip, "RTNETLINK answers: Operation not supported", /modprobe ip_vti, ip6_vti or xfrm_interface/],
    [ip, "RTNETLINK answers: Operation not permitted", /NET_ADMIN/],
    [ip, "spawn ip ENOENT", /^install ip$/],
    [ip, "RTNETLINK answers: File exists", /nothing was left changed/],
    [
      sysctl,
      'sysctl: setting key "net.ipv4.conf.vti42.disable_policy": Read-only file system',
      /--sysctl net\.ipv4\.conf\.default\.disable_policy=1,.*init --privileged/,
    ],
  ] as const)
    assert.match((await failureOf(failed, stderr)).problems[0]?.hint ?? "", hint, stderr);
});

test("everything in the journal is taken back in reverse, and what is gone already is a warning", async () => {
  const { effects, ran, left, records } = await openHost({ "unmake b": { stderr: "Cannot find device" } });
  effects.journal.add(["a", "b", "c"].map((name): Argv => ["unmake", name]));
  await undoAll(effects);
  assert.deepEqual(ran, ["unmake c", "unmake b", "unmake a"]);
  assert.deepEqual(left(), []);
  assert.deepEqual(
    records.filter(({ level }) => level === "warn").map(({ command, reason }) => [command, reason]),
    [["unmake b", "Cannot find device"]],
  );
});
