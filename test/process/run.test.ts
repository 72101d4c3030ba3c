import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { runToEnd, searchPath } from "../support/command.ts";
import { minimal } from "../support/environment-of.ts";
import { formsOfCanary } from "../support/hostile-environment.ts";
import { repository } from "../support/repository.ts";
import { snapshot } from "../support/snapshot.ts";
import { openStage } from "../support/stage.ts";
import { waitFor } from "../support/wait-for.ts";

const withoutEsp =
  'if [[ "$1 $2 $3" == "xfrm state add" ]]; then echo "RTNETLINK answers: Protocol not supported" >&2; exit 2; fi';
const hanging = "trap '' TERM INT HUP; while :; do read -rt 60 <> <(:) || :; done";

const errorsOf = (stderr: string) =>
  stderr.split("\n").filter((line) => line.startsWith("vnf-ipsec: error:"));

test("without strongSwan run ends in 69 with one line and a hint, and has run nothing", {
  concurrency: true,
}, async () => {
  await using stage = await openStage({ ip: "" });
  const gateway = stage.run(minimal);
  assert.equal((await gateway.exited).exitCode, 69);
  assert.deepEqual(errorsOf(gateway.stderr()), ["vnf-ipsec: error: ipsec is not installed, or not on PATH"]);
  assert.match(gateway.stderr(), /^vnf-ipsec: hint: install strongSwan/m);
  assert.deepEqual(await stage.calls(), []);
});

test("without a capability run ends in 77 with a line for each that is missing, and has run nothing", async () => {
  await using stage = await openStage({ ip: "", ipsec: "" });
  for (const [dropped, names] of [
    ["-net_admin", ["NET_ADMIN"]],
    ["-net_bind_service", ["NET_BIND_SERVICE"]],
    ["-all", ["NET_ADMIN", "NET_BIND_SERVICE"]],
  ] as const) {
    const gateway = stage.run(minimal, {
      through: ["/usr/bin/setpriv", `--bounding-set=${dropped}`, "--inh-caps=-all", "--"],
    });
    assert.equal((await gateway.exited).exitCode, 77);
    const errors = errorsOf(gateway.stderr());
    assert.equal(errors.length, names.length, gateway.stderr());
    for (const [index, name] of names.entries())
      assert.ok(errors[index]?.includes(`the capability ${name} is missing`));
    assert.doesNotMatch(gateway.output(), /^\s+at /m);
  }
  assert.deepEqual(await stage.calls(), []);
});

test("a kernel without ESP and no /dev/net/tun end in 69, and so does asking for the kernel", async () => {
  await using stage = await openStage({ ip: withoutEsp, ipsec: "" });
  if (existsSync("/dev/net")) await stage.namespace.run(["mount", "-t", "tmpfs", "tmpfs", "/dev/net"]);
  for (const [dataplane, message] of [
    ["auto", /works neither in the kernel \(.*Protocol not supported\) nor in user space \(/],
    ["kernel", /IPSEC_DATAPLANE=kernel cannot be had: .*Protocol not supported/],
    ["userspace", /IPSEC_DATAPLANE=userspace cannot be had: /],
  ] as const) {
    const gateway = stage.run({ ...minimal, IPSEC_DATAPLANE: dataplane });
    assert.equal((await gateway.exited).exitCode, 69, dataplane);
    const [error = "", ...others] = errorsOf(gateway.stderr());
    assert.match(error, message);
    assert.deepEqual(others, []);
  }
  assert.ok(
    (await stage.calls()).every(({ argv }) => argv[0] === "ip"),
    "nothing was started",
  );
});

test("a kernel that refuses is a matter of permission", async () => {
  await using stage = await openStage({
    ip: 'echo "RTNETLINK answers: Operation not permitted" >&2; exit 2',
    ipsec: "",
  });
  const gateway = stage.run(minimal);
  assert.equal((await gateway.exited).exitCode, 77);
  assert.equal(errorsOf(gateway.stderr()).length, 1);
});

test("a starter that ends at once, with whatever code, ends in 70 with its last words", async () => {
  const tryOne = async (code: number): Promise<void> => {
    await using stage = await openStage({ ip: "", ipsec: `echo "last words of ${code}" >&2; exit ${code}` });
    const gateway = stage.run(minimal);
    assert.equal((await gateway.exited).exitCode, 70);
    const [error = "", ...others] = errorsOf(gateway.stderr());
    assert.match(error, new RegExp(`died 10 times within a minute: starter ended with exit code ${code}`));
    assert.deepEqual(others, []);
    assert.match(gateway.stderr(), new RegExp(`hint: its last words: .*last words of ${code}`));
    assert.equal((await stage.calls()).filter(({ argv }) => argv[0] === "ipsec").length, 10);
    assert.doesNotMatch(gateway.stderr(), /^\s+at /m);
  };
  await Promise.all([0, 2, 66].map(tryOne));
});

test("without nft run warns with a remedy and goes on, and ends in 69 where somebody counts on it", async () => {
  await using stage = await openStage({ ip: "", ipsec: hanging });
  const gateway = stage.run(minimal);
  const { level, hint } = await gateway.waitForRecord(({ event }) => event === "packet-rules");
  assert.deepEqual([level, hint], ["warn", "install nftables, or set IPSEC_MSS=off"]);
  await waitFor("the starter", async () =>
    (await stage.calls()).find(({ argv }) => argv[0] === "ipsec" && argv[1] === "start"),
  );
  gateway.signal("SIGTERM");
  assert.equal((await gateway.exited).exitCode, 0);

  const demanding = stage.run({ ...minimal, IPSEC_NAT_EXEMPT: "yes" });
  assert.equal((await demanding.exited).exitCode, 69);
  assert.match(
    demanding.stderr(),
    /error: IPSEC_NAT_EXEMPT: cannot make the rules .*\n.*hint: install nftables, or/,
  );
});

test("a starter that hangs and ignores SIGTERM does not hold up the stop, nor outlive it", async () => {
  await using stage = await openStage({ ip: "", ipsec: `echo $$ > /run/starter-pid; ${hanging}` });
  const gateway = stage.run(minimal);
  const pid = await waitFor("the starter", () =>
    stage.namespace.readFile("/run/starter-pid").then(
      (text) => text.trim() || undefined,
      () => undefined,
    ),
  );
  gateway.signal("SIGTERM");
  assert.deepEqual(await gateway.exited, { exitCode: 0, signal: null });
  assert.equal(existsSync(`/proc/${pid}`), false);
});

test("no child gets a secret in its words or its environment, at any level of the log, and no log shows it", async () => {
  await using stage = await openStage({ ip: "", ipsec: hanging });
  const canary = "cAnArY0123456789abcdef";
  for (const environment of [
    ...["trace", "info", "silent"].map((level) => ({ LOG_LEVEL: level })),
    { DEBUG: "yes" },
    { LOG_FORMAT: "pretty", DEBUG: "yes" },
  ]) {
    const before = (await stage.calls()).length;
    const gateway = stage.run({
      ...minimal,
      ...environment,
      IPSEC_PSK: canary,
      SET_ROUTE_DEFAULT_TABLE: "no",
      OTHER_SECRET: canary,
    });
    await waitFor("the starter", async () =>
      (await stage.calls()).slice(before).find(({ argv }) => argv[0] === "ipsec"),
    );
    gateway.signal("SIGTERM");
    assert.equal((await gateway.exited).exitCode, 0);
    for (const form of formsOfCanary(canary))
      assert.ok(!gateway.output().includes(form), JSON.stringify(environment));
  }
  const calls = await stage.calls();
  assert.ok(calls.length >= 10);
  for (const call of calls) {
    const text = JSON.stringify(call);
    for (const form of formsOfCanary(canary)) assert.ok(!text.includes(form), text);
    for (const assignment of call.environment)
      assert.match(assignment, /^(?:PATH|HOME|TZ|LANG|LC_ALL|STRONGSWAN_CONF|PWD|SHLVL|_)=/);
  }
});

test("an invalid environment runs no command and changes nothing", async () => {
  await using stage = await openStage({ ip: "", ipsec: "", modprobe: "", nft: "" });
  const before = await snapshot(stage.namespace);
  for (const change of [
    { IPSEC_LOCALIP: "x" },
    { IPSEC_PSK: "" },
    { ENVFILE: "/nonexistent" },
    { IPSEC_REMOTENET: "0.0.0.0/0" },
  ]) {
    const gateway = stage.run({ ...minimal, SET_ROUTE_DEFAULT_TABLE: "yes", ...change });
    assert.ok([74, 78].includes((await gateway.exited).exitCode ?? -1));
    assert.equal(gateway.stdout(), "");
  }
  assert.deepEqual(await stage.calls(), []);
  assert.deepEqual(await snapshot(stage.namespace), before);
});

test("an invalid environment is refused by the built command within 8 times what node itself takes to start", async () => {
  const built = mkdtempSync(join(tmpdir(), "vnf-ipsec-built-"));
  const bare: number[] = [];
  const ours: number[] = [];
  const timed = async (times: number[], ...words: string[]): Promise<void> => {
    const begin = performance.now();
    await runToEnd([process.execPath, ...words], { PATH: searchPath, IPSEC_LOCALIP: "x" });
    times.push(performance.now() - begin);
  };
  try {
    const build = await runToEnd([process.execPath, `${repository}/scripts/build.ts`, built], {
      PATH: searchPath,
    });
    assert.equal(build.exitCode, 0, build.stderr);
    // Turn by turn, so that what else the machine does weighs on both.
    for (let round = 0; round < 9; round++) {
      await timed(bare, "-e", "0");
      await timed(ours, `${built}/vnf-ipsec`, "run");
    }
  } finally {
    rmSync(built, { recursive: true, force: true });
  }
  const median = (times: readonly number[]): number =>
    times.toSorted((one, other) => one - other)[4] ?? Number.NaN;
  const ratio = median(ours) / median(bare);
  assert.ok(ratio <= 8, `${median(ours)} ms are ${ratio} times ${median(bare)} ms`);
});
