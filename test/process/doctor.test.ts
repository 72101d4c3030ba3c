import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { runCommand } from "../support/command.ts";
import { minimal } from "../support/environment-of.ts";
import { openStage } from "../support/stage.ts";
import { waitFor } from "../support/wait-for.ts";

const directory = mkdtempSync(join(tmpdir(), "vnf-ipsec-doctor-"));
after(() => rmSync(directory, { recursive: true, force: true }));

type Result = { readonly name: string; readonly verdict: string; readonly message: string };

const resultsOf = (stdout: string): readonly Result[] => {
  const { version, results } = JSON.parse(stdout) as { version: number; results: readonly Result[] };
  assert.equal(version, 1);
  return results;
};

/** What the programs that look say on a machine where nothing is wrong. */
const lookers = {
  ip: `case "$*" in
*"address show"*) printf '%s' '[{"ifname":"eth0","mtu":1500,"flags":["UP"],"addr_info":[{"local":"192.0.2.1"}]}]' ;;
*"route get"*) printf '%s' '[{"dst":"192.0.2.2","dev":"eth0"}]' ;;
*-json*) printf '%s' '[]' ;;
esac`,
  nft: `[[ $1 == -j ]] && printf '%s' '{"nftables":[]}'; [[ $1 == -a ]] && echo "table ip t { # handle 1"; exit 0`,
  ipsec: "echo 'Linux strongSwan U5.9.8/K6.1.0'",
  ping: "exit 1",
  timedatectl: "echo yes",
};

test("only looking programs are run: but for the SA that tries the kernel, nothing is changed", async () => {
  await using stage = await openStage(lookers);
  const command = stage.run(minimal, { args: ["doctor", "--json", "--bundle", "/run/bundle.json"] });
  assert.equal((await command.exited).exitCode, 0, command.output());
  const calls = (await stage.calls()).map(({ argv }) => argv.join(" "));
  // What changes something is asked for in words; the batch that is answered in JSON asks for links and routes.
  const batch = "ip -json -force -batch -";
  assert.ok(calls.includes(batch));
  const looks = / (?:show|list|get|ruleset|-V|--version)\b/;
  const changes = calls.filter((call) => call !== batch && !looks.test(call));
  assert.deepEqual(
    changes.map((call) => call.replace(/ src .*/, "")),
    ["ip xfrm state add", "ip xfrm state delete"],
  );
  assert.ok(calls.includes("ip xfrm state list nokeys"), "the kernel's keys are not asked for");
});

test("no program that it runs gets a variable of ours, so no key", async () => {
  await using stage = await openStage(lookers);
  const command = stage.run(minimal, { args: ["doctor"] });
  await command.exited;
  for (const { argv, environment } of await stage.calls())
    assert.deepEqual(
      environment.filter((variable) => /^(?:IPSEC|ENVFILE)/.test(variable)),
      [],
      argv.join(" "),
    );
});

test("on a machine without any of the programs it says what is missing, and looks at the rest", async () => {
  await using stage = await openStage({});
  const command = stage.run(minimal, { args: ["doctor", "--json"] });
  assert.equal((await command.exited).exitCode, 1, command.output());
  const results = resultsOf(command.stdout());
  const verdictOf = (name: string) => results.find((one) => one.name === name)?.verdict;
  assert.equal(verdictOf("programs"), "failure");
  assert.equal(verdictOf("firewall"), "skipped");
  assert.equal(verdictOf("settings"), "ok");
  assert.equal(verdictOf("ports"), "ok");
});

test("without privileges it says which are missing, and ends in 1 without a fault of its own", async () => {
  const through = ["/usr/bin/setpriv", "--bounding-set=-all", "--inh-caps=-all", "--"];
  const { exitCode, stdout, stderr } = await runCommand(["doctor", "--json"], minimal, { through });
  assert.equal(exitCode, 1);
  assert.equal(stderr, "");
  const missing = resultsOf(stdout).filter(({ name }) => name === "capabilities");
  assert.deepEqual(
    missing.map(({ verdict, message }) => [verdict, message.split(",")[0]]),
    [
      ["failure", "the capability NET_ADMIN is missing"],
      ["failure", "the capability NET_BIND_SERVICE is missing"],
    ],
  );
});

test("with a bad environment the errors of check come first, each with its hint", async () => {
  const { exitCode, stdout } = await runCommand(["doctor"], { IPSEC_LIFETIME: "1" });
  assert.equal(exitCode, 1);
  const lines = stdout.split("\n");
  assert.match(lines[0] ?? "", /^failure {2}settings: IPSEC_LIFETIME: /);
  assert.match(lines[1] ?? "", /^ {9}\S/);
  assert.match(stdout, /^(?:ok|failure) +ports: /m);
  assert.match(stdout, /^\d+ failures/m);
});

test("a key never appears, right or wrong, in either output or the bundle", async () => {
  for (const [index, key] of [
    "canary-canary-canary-canary",
    "0x63616e6172792d63616e617279zz",
    "0sY2FuYXJ5LWNhbmFyeS1jYW5hcnk",
  ].entries()) {
    const bundle = join(directory, `canary-${index}.json`);
    // Where a name of ours, a file's name and a value hold it too.
    const environment = { ...minimal, IPSEC_PSK: key, IPSEC_NAME: "canary-canary-canary-canary" };
    const text = await runCommand(["doctor"], environment);
    const json = await runCommand(["doctor", "--json", "--bundle", bundle], environment);
    for (const output of [text.stdout, text.stderr, json.stdout, readFileSync(bundle, "utf8")])
      assert.ok(!output.includes(key) && !output.includes(Buffer.from(key).toString("base64")), output);
    JSON.parse(json.stdout);
    JSON.parse(readFileSync(bundle, "utf8"));
  }
});

test("a bundle is one JSON object for its owner's eyes, and says on stderr where it is", async () => {
  const bundle = join(directory, "bundle.json");
  const { stderr } = await runCommand(["doctor", "--bundle", bundle], minimal);
  assert.equal(stderr, `wrote ${bundle}\n`);
  assert.equal(statSync(bundle).mode & 0o777, 0o600);
  const { version, doctor, check, status, files, host } = JSON.parse(readFileSync(bundle, "utf8"));
  assert.equal(version, 1);
  assert.equal(doctor.version, 1);
  assert.deepEqual(check, { errors: [], warnings: [] });
  assert.equal(status, null);
  assert.equal(files.length, 3);
  assert.ok(host.kernel.length > 0);
  assert.equal(host.commands["node --version"].exitCode, 0);
});

test("a file that is there, and one that a link names, is left as it is: 74", async () => {
  const there = join(directory, "there");
  writeFileSync(there, "mine");
  const link = join(directory, "link");
  symlinkSync(join(directory, "elsewhere"), link);
  for (const path of [there, link, join(directory, "no/such/folder")]) {
    const { exitCode, stdout, stderr } = await runCommand(["doctor", "--bundle", path], minimal);
    assert.equal(exitCode, 74, path);
    assert.equal(stdout, "");
    assert.match(stderr, /^vnf-ipsec: error: .* (?:is there already|cannot be written: ENOENT)\n/);
  }
  assert.equal(readFileSync(there, "utf8"), "mine");
});

test("a target that is no address is a wrong option: 64", async () => {
  const { exitCode, stderr } = await runCommand(["doctor", "--target", "10.2.0"], minimal);
  assert.equal(exitCode, 64);
  assert.match(stderr, /^vnf-ipsec: error: --target: "10\.2\.0" is not an IP address\n/);
});

test("an interrupt ends it at once with 1, without half a result", async () => {
  await using stage = await openStage({ ...lookers, nft: "read -r -t 30 < <(read -r -t 30)" });
  const command = stage.run(minimal, { args: ["doctor"] });
  await waitFor("nft to be asked", async () =>
    (await stage.calls()).some(({ argv }) => argv[0] === "nft") ? true : undefined,
  );
  command.signal("SIGINT");
  assert.equal((await command.exited).exitCode, 1);
  assert.equal(command.stdout(), "");
});
