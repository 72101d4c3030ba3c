import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { after, test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { commandWords, runCommand, runToEnd, searchPath } from "../support/command.ts";
import { minimal } from "../support/environment-of.ts";
import { repository } from "../support/repository.ts";

const directory = mkdtempSync(join(tmpdir(), "vnf-ipsec-command-"));
after(() => rmSync(directory, { recursive: true, force: true }));

const key = Buffer.from(minimal.IPSEC_PSK).toString("base64");

test("a good environment is valid: 0, one line on stdout, nothing on stderr", async () => {
  assert.deepEqual(await runCommand(["check"], minimal), {
    exitCode: 0,
    stdout: "the environment is valid\n",
    stderr: "",
  });
});

test("a bad environment ends in 78, with every fault and its hint on stderr and nothing on stdout", async () => {
  for (const command of ["check", "render", "run"]) {
    const { exitCode, stdout, stderr } = await runCommand([command], {
      IPSEC_LOCALIP: "moon",
      IPSEC_LIFETIME: "1",
    });
    assert.equal(exitCode, 78, command);
    assert.equal(stdout, "", command);
    const lines = stderr.trimEnd().split("\n");
    for (const name of [
      "IPSEC_LOCALIP",
      "IPSEC_LIFETIME",
      "IPSEC_LOCALNET",
      "IPSEC_REMOTENET",
      "IPSEC_PSK",
      "IPSEC_REMOTEID",
    ]) {
      assert.ok(
        lines.some((line) => line.startsWith(`vnf-ipsec: error: ${name}`)),
        `${command} does not name ${name}:\n${stderr}`,
      );
    }
    assert.equal(lines.filter((line) => line.startsWith("vnf-ipsec: error:")).length, 6);
    assert.equal(lines.filter((line) => line.startsWith("vnf-ipsec: hint:")).length, 6);
    assert.equal(lines.length, 12);
  }
});

test("warnings go to stderr and leave the exit code at 0", async () => {
  const { exitCode, stdout, stderr } = await runCommand(["check"], { ...minimal, IPSEC_REMOTE_IP: "x" });
  assert.equal(exitCode, 0);
  assert.equal(stdout, "the environment is valid, with a warning\n");
  assert.match(
    stderr,
    /^vnf-ipsec: warning: "IPSEC_REMOTE_IP".*\nvnf-ipsec: hint: did you mean IPSEC_REMOTEIP\?\n$/,
  );
});

test("check --json is one object that says the same", async () => {
  const good = await runCommand(["check", "--json"], minimal);
  assert.deepEqual(JSON.parse(good.stdout), { valid: true, errors: [], warnings: [] });
  const bad = await runCommand(["check", "--json"], {
    ...minimal,
    IPSEC_LIFETIME: "1",
    IPSEC_REMOTE_IP: "x",
  });
  assert.equal(bad.exitCode, 78);
  assert.equal(bad.stderr, "");
  const { valid, errors, warnings } = JSON.parse(bad.stdout);
  assert.equal(valid, false);
  assert.deepEqual([errors.length, errors[0].variable], [1, "IPSEC_LIFETIME"]);
  assert.deepEqual([warnings.length, warnings[0].variable], [1, "IPSEC_REMOTE_IP"]);
});

test("a file that cannot be read ends in 74", async () => {
  const { exitCode, stderr } = await runCommand(["check"], { ...minimal, ENVFILE: "/nonexistent/site.env" });
  assert.equal(exitCode, 74);
  assert.match(
    stderr,
    /^vnf-ipsec: error: ENVFILE="\/nonexistent\/site\.env" cannot be read: ENOENT\nvnf-ipsec: hint: .*\n$/,
  );
});

test("render shows files and commands, the key masked unless it is asked for", async () => {
  const masked = await runCommand(["render"], minimal);
  assert.equal(masked.exitCode, 0);
  for (const path of [
    "/etc/ipsec.config.d/ipsec.site.conf",
    "/etc/ipsec.secrets.d/ipsec.site.secrets",
    "/etc/strongswan.d/charon.conf",
  ]) {
    assert.match(masked.stdout, new RegExp(`# ==> ${path} \\(mode 06[04]{2}\\) <==`));
  }
  assert.match(masked.stdout, /: PSK \*\*\*/);
  assert.match(masked.stdout, /\nipsec start --nofork\n$/);
  assert.ok(!masked.stdout.includes(key) && !masked.stdout.includes(minimal.IPSEC_PSK));
  const shown = await runCommand(["render", "--show-secrets"], minimal);
  assert.ok(shown.stdout.includes(`: PSK 0s${key}\n`));
  assert.equal(shown.stderr, "");
});

test("render --json is one object with paths, modes, texts and commands", async () => {
  const { stdout } = await runCommand(["render", "--json"], { ...minimal, SET_ROUTE_DEFAULT_TABLE: "yes" });
  const { dataplane, files, commands } = JSON.parse(stdout);
  assert.equal(dataplane, "kernel");
  assert.deepEqual(
    files.map(({ path, mode }: { path: string; mode: string }) => [path, mode]),
    [
      ["/etc/ipsec.config.d/ipsec.site.conf", "0644"],
      ["/etc/ipsec.secrets.d/ipsec.site.secrets", "0600"],
      ["/etc/strongswan.d/charon.conf", "0644"],
    ],
  );
  assert.match(files[1].text, /: PSK \*\*\*/);
  assert.deepEqual(commands.at(-1), { when: "run", command: "ipsec start --nofork" });
  assert.deepEqual(
    commands.slice(0, -1).map(({ command }: { command: string }) => command.split("\n")[0]),
    [
      "ip xfrm policy update src 10.1.0.0/16 dst 10.2.0.0/16 dir out action block priority 4294967294 mark 0 mask 1",
      "ip xfrm policy update src 10.1.0.0/16 dst 10.2.0.0/16 dir out action block priority 4294967294 mark 1 mask 1",
      "nft -f - <<'END'",
      "ip route add 10.2.0.0/16 via DEFAULT_GATEWAY dev ITS_INTERFACE src 192.0.2.1",
    ],
  );
});

test("what is longer than a pipe holds arrives whole, however slowly it is read", async () => {
  const { IPSEC_REMOTENET: _, ...defaults } = minimal;
  const sites = Array.from({ length: 250 }, (_, index) => [
    `site-${index}`,
    { remotenet: `10.${index}.0.0/16` },
  ]);
  const path = join(directory, "connections.json");
  const connections = sites.map(([name, site]) => [
    name,
    { ...(site as object), remoteid: `${name}.example.com` },
  ]);
  writeFileSync(path, JSON.stringify({ connections: Object.fromEntries(connections) }), { mode: 0o600 });
  const child = spawn(commandWords()[0], [...commandWords().slice(1), "render", "--json"], {
    cwd: repository,
    env: { PATH: searchPath, ...defaults, IPSEC_LOCALNET: "192.168.1.0/24", IPSEC_CONFIG_FILE: path },
    stdio: ["ignore", "pipe", "inherit"],
  });
  child.stdout.setEncoding("utf8");
  let text = "";
  for await (const chunk of child.stdout.iterator()) {
    text += chunk;
    await nextTurn();
  }
  assert.ok(text.length > 300_000, `${text.length} characters`);
  assert.equal(JSON.parse(text).commands.at(-1).command, "ipsec start --nofork");
});

test("render --output-dir writes the files with their modes and says so on stderr", async () => {
  const { exitCode, stdout, stderr } = await runCommand(
    ["render", "--output-dir", join(directory, "out")],
    minimal,
  );
  assert.deepEqual([exitCode, stdout], [0, ""]);
  assert.equal(stderr.trimEnd().split("\n").length, 3);
  const secrets = join(directory, "out/etc/ipsec.secrets.d/ipsec.site.secrets");
  assert.equal(statSync(secrets).mode & 0o777, 0o600);
  assert.match(readFileSync(secrets, "utf8"), /: PSK \*\*\*\n$/);
  assert.equal(statSync(join(directory, "out/etc/strongswan.d/charon.conf")).mode & 0o777, 0o644);
  writeFileSync(join(directory, "file"), "");
  const refused = await runCommand(["render", "--output-dir", join(directory, "file")], minimal);
  assert.equal(refused.exitCode, 74);
  assert.match(refused.stderr, /cannot be written: (?:ENOTDIR|EEXIST)/);
});

test("render needs neither privileges nor strongSwan nor any other program", async () => {
  const through = ["/usr/bin/setpriv", "--bounding-set=-all", "--inh-caps=-all", "--"];
  const { exitCode } = await runCommand(
    ["render"],
    { ...minimal, PATH: dirname(process.execPath) },
    { through },
  );
  assert.equal(exitCode, 0);
});

test("help shows commands, examples and exit codes on stdout", async () => {
  for (const args of [["--help"], ["-h"], ["help"]]) {
    const { exitCode, stdout, stderr } = await runCommand(args);
    assert.deepEqual([exitCode, stderr], [0, ""], args.join());
    for (const word of [
      "Usage: vnf-ipsec",
      "run",
      "render",
      "check",
      "variables",
      "Examples:",
      "Exit codes:",
    ])
      assert.ok(stdout.includes(word), word);
  }
  const { stdout } = await runCommand(["help", "render"]);
  assert.match(stdout, /--output-dir/);
});

test("--version prints the version and nothing else", async () => {
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  for (const flag of ["--version", "-V"])
    assert.deepEqual(await runCommand([flag]), { exitCode: 0, stdout: `${version}\n`, stderr: "" });
});

test("what is no command, option or format ends in 64 with what was probably meant", async () => {
  for (const [args, message, hint] of [
    [["foo"], 'unknown command "foo"', "vnf-ipsec --help shows the commands"],
    [["chekc"], 'unknown command "chekc"', "did you mean check?"],
    [["help", "rnder"], 'unknown command "rnder"', "did you mean render?"],
    [["render", "--jsn"], "unknown option '--jsn'", "did you mean --json?"],
    [["--nonsense"], "unknown option '--nonsense'", "vnf-ipsec --help shows the commands"],
    [
      ["run", "again"],
      "too many arguments for 'run'. Expected 0 arguments but got 1: again.",
      "vnf-ipsec --help shows the commands",
    ],
    [
      ["render", "--output-dir"],
      "option '--output-dir <directory>' argument missing",
      "vnf-ipsec --help shows the commands",
    ],
  ] as const) {
    const { exitCode, stdout, stderr } = await runCommand(args, minimal);
    assert.equal(exitCode, 64, args.join(" "));
    assert.equal(stdout, "");
    assert.equal(
      stderr.slice(stderr.indexOf("vnf-ipsec: error:")),
      `vnf-ipsec: error: ${message}\nvnf-ipsec: hint: ${hint}\n`,
    );
  }
  const format = await runCommand(["variables", "--format", "xml\u001b[2J"]);
  assert.equal(format.exitCode, 64);
  assert.match(format.stderr, /table, markdown, env, json-schema/);
  assert.ok(!format.stderr.includes("\u001b"));
});

test("the reference is there in every format", async () => {
  for (const [format, pattern] of [
    ["table", /^ {2}IPSEC_LOCALNET +/m],
    ["markdown", /^\| `IPSEC_LOCALNET` \| required \|/m],
    ["env", /^IPSEC_LOCALNET=10\./m],
    ["json-schema", /"IPSEC_LOCALNET": \{/],
  ] as const) {
    const { exitCode, stdout, stderr } = await runCommand(["variables", "--format", format]);
    assert.deepEqual([exitCode, stderr], [0, ""]);
    assert.match(stdout, pattern);
  }
});

test("colours appear on a terminal only, and not with NO_COLOR", async () => {
  const onTerminal = (environment: Readonly<Record<string, string>>) =>
    runToEnd(["/usr/bin/script", "-qec", `${commandWords().join(" ")} check`, "/dev/null"], {
      PATH: searchPath,
      TERM: "xterm-256color",
      ...environment,
    });
  const red = "\u001b[31merror:";
  assert.ok((await onTerminal({ IPSEC_LIFETIME: "1" })).stdout.includes(red));
  assert.ok(
    (await onTerminal({ IPSEC_LIFETIME: "1", NO_COLOR: "" })).stdout.includes(red),
    "an empty NO_COLOR means nothing",
  );
  assert.ok(!(await onTerminal({ IPSEC_LIFETIME: "1", NO_COLOR: "1" })).stdout.includes("\u001b"));
  assert.ok(
    !(await runCommand(["check"], { IPSEC_LIFETIME: "1", TERM: "xterm-256color" })).stderr.includes("\u001b"),
  );
});

test("a reader that has gone is no fault, and gets no stack", async () => {
  const command = commandWords().join(" ");
  const script = `set -o pipefail; ${command} variables --format markdown | head -1; ${command} render | true; ${command} check 2>&1 >&- | cat; exec 2>&-; ${command} check`;
  const { stdout, stderr } = await runToEnd(["/bin/bash", "--norc", "-c", script], {
    PATH: searchPath,
    ...minimal,
  });
  assert.equal(stderr, "");
  assert.match(stdout, /^## Reading\n/);
  assert.doesNotMatch(stdout, /\n\s+at |EPIPE|bug/);
});
