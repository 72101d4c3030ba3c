import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { after, test } from "node:test";
import { promisify } from "node:util";
import { createLab } from "../support/lab.ts";
import { defaultSearchPath, type Namespace } from "../support/namespace.ts";
import { block, blocks, commandBlocks, containerBlocks, siteBlocks } from "../support/readme-blocks.ts";
import { repository } from "../support/repository.ts";
import type { SiteProcess } from "../support/site-process.ts";

const covered = {
  ...siteBlocks,
  demo: block("scripts/demo"),
  runMoon: block("ENVFILE=moon.env vnf-ipsec run"),
  packages: block("apt-get install"),
  build: block("npm ci"),
  includes: block("cp -r rootfs"),
  look: block("ENVFILE=moon.env vnf-ipsec check"),
  runSun: block("ENVFILE=sun.env vnf-ipsec run"),
  ping: block("ping -c 5 -I 10.1.0.1 10.2.0.1\nipsec"),
  mistakes: block("$ cat wrong.env"),
  variables: block("vnf-ipsec variables"),
  manyConnections: block("cat > connections.yaml"),
  manualFiles: block("mkdir -p /etc/ipsec.config.d"),
  runManual: block("IPSEC_USE_MANUAL_CONFIG=yes vnf-ipsec run"),
  farp: block("cat > /etc/strongswan.d/charon/farp.conf"),
  vtiFile: block("cat > vti.env"),
  init: block("ENVFILE=vti.env vnf-ipsec init"),
};

/** A clone as `git clone` makes it, as far as the README uses it. */
const clone = mkdtempSync(join(tmpdir(), "vnf-ipsec-readme-"));
after(() => rmSync(clone, { recursive: true, force: true }));
for (const name of [
  "package.json",
  "package-lock.json",
  "tsconfig.json",
  "rootfs",
  "scripts",
  "src",
  "templates",
]) {
  cpSync(`${repository}/${name}`, `${clone}/${name}`, { recursive: true });
}

const searchPath = [dirname(process.execPath), defaultSearchPath].join(delimiter);
const environment = { PATH: `${clone}/dist${delimiter}${searchPath}`, LC_ALL: "C" };

/** Where a namespace is given the block runs in there, with its /etc and /run. */
const words = (text: string): readonly [string, ...string[]] => [
  "bash",
  "--norc",
  "-euc",
  `cd '${clone}'\n${text}`,
];

const runIn = (namespace: Namespace, text: string): Promise<string> =>
  namespace.run(words(text), { env: environment });

const startIn = (namespace: Namespace, text: string): SiteProcess =>
  namespace.spawn(words(text), { env: environment, label: text.trim() });

const runHere = async (text: string, env: Record<string, string> = environment): Promise<string> => {
  const [program, ...rest] = words(`exec 2>&1\n${text}`);
  const { stdout } = await promisify(execFile)(program, rest, { env });
  return stdout;
};

test("every block of commands in the README is run by a test of this file, or in a container", () => {
  const known = [covered, containerBlocks].flatMap((blocks) => Object.values(blocks));
  const unknown = commandBlocks.filter(({ text }) => !known.includes(text)).map(({ text }) => text);
  assert.deepEqual(unknown, []);
  const scenarios = readdirSync(`${repository}/test/image/scenarios`)
    .map((name) => readFileSync(`${repository}/test/image/scenarios/${name}`, "utf8"))
    .join("");
  const idle = Object.keys(containerBlocks).filter((name) => !scenarios.includes(`containerBlocks.${name}`));
  assert.deepEqual(idle, ["build"]);
  // A block without a language would escape.
  assert.deepEqual([...new Set(blocks.map(({ language }) => language))].sort(), ["console", "sh", "text"]);
});

test("the packages of the README are those that the tests run on, and the service is one of theirs", async () => {
  const fakes = `${clone}/fakes`;
  writeProgram(
    `${fakes}/apt-get`,
    'for package; do case $package in install|-*) ;; *) dpkg-query --show "$package" ;; esac; done',
  );
  writeProgram(
    `${fakes}/systemctl`,
    '[ "$1 $2" = "disable --now" ] && dpkg --search "/lib/systemd/system/$3.service"',
  );
  const said = await runHere(covered.packages, { ...environment, PATH: `${fakes}${delimiter}${searchPath}` });
  assert.match(said, /^strongswan-starter: /m);
});

test("the README builds the image under the name by which it runs it", async () => {
  const fakes = `${clone}/fakes-docker`;
  const calls = `${clone}/docker-calls`;
  writeProgram(
    `${fakes}/docker`,
    `echo "$*" >> '${calls}'\ncase $1 in images) echo sha256:1 ;; image) echo 1000000 ;; esac`,
  );
  await runHere(containerBlocks.build, { ...environment, PATH: `${fakes}${delimiter}${searchPath}` });
  assert.match(
    readFileSync(calls, "utf8"),
    /^build .*--build-arg BASE=alpine:\S+ --tag openvnf\/vnf-ipsec .*\.$/m,
  );
});

test("the build of the README gives a command that needs nothing but Node", {
  timeout: 120_000,
}, async () => {
  const fakes = `${clone}/fakes-npm`;
  const { stdout: npm } = await promisify(execFile)("sh", ["-c", "command -v npm"]);
  // The packages are those of this working tree: a test fetches nothing.
  writeProgram(
    `${fakes}/npm`,
    `[ "$1" = ci ] && exec ln -s '${repository}/node_modules' node_modules\nexec '${npm.trim()}' "$@"`,
  );
  const said = await runHere(covered.build, { ...environment, PATH: `${fakes}${delimiter}${searchPath}` });
  const { version } = JSON.parse(readFileSync(`${repository}/package.json`, "utf8"));
  assert.equal(said.trimEnd().split("\n").at(-1), version);
  rmSync(`${clone}/node_modules`);
  assert.equal(await runHere("vnf-ipsec --version"), `${version}\n`);
});

test("without a container the quick start makes a tunnel that a ping crosses", {
  timeout: 120_000,
}, async () => {
  await using lab = await createLab();
  const { moon, sun } = lab;
  for (const site of [moon, sun]) await runIn(site, covered.includes);
  await runIn(moon, covered.moon);
  await sun.writeFile("/etc/vnf-ipsec/psk", await moon.readFile("/etc/vnf-ipsec/psk"), 0o600);
  await runIn(sun, covered.sun);

  const looked = await runIn(moon, covered.look);
  assert.match(looked, /^the environment is valid\n/);
  assert.match(looked, /# ==> \/etc\/ipsec\.config\.d\/ipsec\.site\.conf/);
  assert.doesNotMatch(
    looked,
    new RegExp((await moon.readFile("/etc/vnf-ipsec/psk")).trim().replace(/[+]/g, "\\$&")),
  );

  const witness = await lab.captureWire("ip net 10.0.0.0/8");
  const gateways = [startIn(moon, covered.runMoon), startIn(sun, covered.runSun)];
  for (const gateway of gateways) await gateway.waitForRecord((record) => record.event === "ready");
  if (lab.dataPlane === "userspace") await gateways[0]?.waitForOutput(/CHILD_SA \S+ established/);
  const said = await runIn(moon, covered.ping);
  assert.match(said, /[1-5] received/);
  assert.match(said, /site\[\d+\]: ESTABLISHED/);
  assert.match(said, /INSTALLED, TUNNEL/);
  assert.deepEqual(await witness.stop(), []);
});

test("the manual configuration of the README speaks to a gateway made of variables", {
  timeout: 120_000,
}, async () => {
  await using lab = await createLab();
  const { moon, sun } = lab;
  await runIn(moon, covered.manualFiles);
  const [, psk] = /PSK "(.*)"/.exec(covered.manualFiles) ?? [];
  const answering = sun.gateway({
    IPSEC_LOCALIP: sun.address,
    IPSEC_LOCALNET: sun.networks.join(","),
    IPSEC_REMOTEIP: moon.address,
    IPSEC_REMOTENET: moon.networks.join(","),
    IPSEC_PSK: psk ?? "",
    IPSEC_START: "add",
  });
  await answering.waitForRecord((record) => record.event === "ready");
  const gateway = startIn(moon, covered.runManual);
  await gateway.waitForOutput(/CHILD_SA moon\S* established/);
  assert.equal((await moon.ping(sun.host)).received, 3);
});

test("the module file of the README switches a module on that is off without it", {
  timeout: 120_000,
}, async () => {
  await using lab = await createLab();
  const { moon } = lab;
  const loaded = async (): Promise<string> => {
    const from = gatewayIsManual(moon);
    const [line] = await from.waitForOutput(/loaded plugins: [^"\n]*/);
    await from.waitForRecord((record) => record.event === "ready");
    from.signal("SIGTERM");
    await from.exited;
    return line;
  };
  assert.doesNotMatch(await loaded(), /\bfarp\b/);
  await runIn(moon, covered.farp);
  assert.match(await loaded(), /\bfarp\b/);
});

const gatewayIsManual = (site: {
  readonly gateway: (environment: Record<string, string>) => SiteProcess;
}): SiteProcess => site.gateway({ IPSEC_USE_MANUAL_CONFIG: "yes" });

test("the mistakes of the README get exactly the answer that it shows", async () => {
  const transcript = covered.mistakes.split(/^\$ /m).slice(1);
  for (const entry of transcript) {
    const [command = "", ...output] = entry.split("\n");
    const file = /^cat (\S+)$/.exec(command)?.[1];
    if (file === undefined) assert.equal(await runHere(`${command} || true`), output.join("\n"));
    else writeFileSync(`${clone}/${file}`, output.join("\n"));
  }
});

test("the README's file of connections is valid", async () => {
  assert.equal(await runHere(covered.manyConnections), "the environment is valid\n");
});

test("the README's new environment and rendered files are written where it says", async () => {
  writeFileSync(
    `${clone}/moon.env`,
    /cat > moon\.env <<'END'\n(.*?)END\n/s
      .exec(covered.moon)?.[1]
      ?.replace("_FILE=/etc/vnf-ipsec/psk", "=a-long-enough-pre-shared-key") ?? "",
  );
  await runHere(covered.variables);
  assert.equal(readFileSync(`${clone}/new.env`, "utf8"), readFileSync(`${repository}/.env.example`, "utf8"));
  assert.match(readFileSync(`${clone}/rendered/etc/ipsec.config.d/ipsec.site.conf`, "utf8"), /^conn site$/m);
});

test("init runs the commands that the README shows, for the interface that it describes", async () => {
  const key = `${clone}/psk`;
  writeFileSync(key, "a-long-enough-pre-shared-key\n");
  const said = await runHere(covered.vtiFile.replace("/etc/vnf-ipsec/psk", key));
  assert.match(said, /^the environment is valid\n/);
  const fakes = `${clone}/fakes-init`;
  // Nothing is there yet: whatever is asked for in JSON is not found.
  for (const name of ["ip", "sysctl", "modprobe"])
    writeProgram(`${fakes}/${name}`, `[ "$1" = -json ] && exit 1\necho "\${0##*/} $*" >> '${clone}/changes'`);
  await runHere(covered.init, { ...environment, PATH: `${fakes}${delimiter}${environment.PATH}` });
  const changes = readFileSync(`${clone}/changes`, "utf8")
    .split(/^/m)
    .filter((line) => !/^modprobe|rp_filter/.test(line));
  const shown = blocks.find(({ text }) => text.startsWith("ip link add vti42"));
  assert.equal(changes.join(""), shown?.text);
});

test("the demo that the README begins with shows packets through a tunnel", {
  timeout: 120_000,
}, async () => {
  // What it would install is installed where tests run, so whoever asks for more is told no.
  const fakes = `${clone}/fakes-demo`;
  for (const name of ["npm", "apt-get"])
    writeProgram(`${fakes}/${name}`, `echo "$0: no installing in a test"; exit 1`);
  const { stdout } = await promisify(execFile)(
    "bash",
    ["--norc", "-euc", `cd '${repository}'\n${covered.demo}`],
    {
      env: { ...environment, PATH: `${fakes}${delimiter}${searchPath}` },
    },
  );
  assert.match(stdout, /Every step happened/);
});

test("what the pages name exists: files, anchors, scripts, variables", () => {
  const { scripts } = JSON.parse(readFileSync(`${repository}/package.json`, "utf8"));
  const pages = [
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    ...["architecture", "containers", "migration", "promises", "troubleshooting"].map(
      (name) => `docs/${name}.md`,
    ),
  ];
  const missing: string[] = [];
  for (const page of pages) {
    const text = readFileSync(`${repository}/${page}`, "utf8");
    for (const [, target = ""] of text.matchAll(/\]\((?!https?:)([^)\s]+)\)/g)) {
      const [path = "", anchor] = target.split("#");
      const file = path === "" ? `${repository}/${page}` : join(repository, dirname(page), path);
      if (!existsSync(file)) missing.push(`${page}: ${target}`);
      else if (anchor !== undefined && !anchorsOf(readFileSync(file, "utf8")).includes(anchor))
        missing.push(`${page}: ${target}`);
    }
    for (const [, name = ""] of text.matchAll(/\bnpm run ([\w:-]+)/g))
      if (scripts[name] === undefined) missing.push(`${page}: npm run ${name}`);
    for (const [, name = ""] of text.matchAll(/`(scripts\/[\w.-]+)/g))
      if (!existsSync(`${repository}/${name}`)) missing.push(`${page}: ${name}`);
  }
  assert.deepEqual(missing, []);
});

/** As GitHub makes them of headings. */
const anchorsOf = (markdown: string): readonly string[] =>
  [...markdown.matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );

const writeProgram = (path: string, script: string): void => {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
};
