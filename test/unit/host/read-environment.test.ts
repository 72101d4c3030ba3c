import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { loadSettings } from "../../../src/commands/load-settings.ts";
import { exitCodes, Failure } from "../../../src/failure.ts";
import { readEnvironment } from "../../../src/host/read-environment.ts";
import { minimal } from "../../support/environment-of.ts";
import { createPki, type Issued } from "../../support/pki.ts";

const directory = mkdtempSync(join(tmpdir(), "vnf-ipsec-environment-"));
after(() => rmSync(directory, { recursive: true, force: true }));

let count = 0;
const file = (content: string | Uint8Array): string => {
  const path = join(directory, `file-${count++}`);
  writeFileSync(path, content);
  return path;
};

const failureOf = async (environment: Readonly<Record<string, string>>): Promise<Failure> => {
  try {
    await loadSettings(environment, "gateway");
  } catch (error) {
    if (error instanceof Failure) return error;
    throw error;
  }
  return assert.fail("it is valid");
};

const { IPSEC_PSK: _, ...withoutKey } = minimal;

const keyFrom = async (content: string | Uint8Array): Promise<string> => {
  const { settings } = await loadSettings({ ...withoutKey, IPSEC_PSK_FILE: file(content) }, "gateway");
  return Buffer.from(settings.connections[0]?.IPSEC_PSK?.reveal() ?? []).toString("latin1");
};

test("ENVFILE wins over the process environment, and both over the defaults", async () => {
  const envFile = file("IPSEC_LIFETIME=2h\nexport IPSEC_NAME='from-file' # why\n");
  const { settings } = await loadSettings(
    { ...minimal, ENVFILE: envFile, IPSEC_LIFETIME: "3h", IPSEC_IKELIFETIME: "5h" },
    "gateway",
  );
  assert.equal(settings.connections[0]?.IPSEC_LIFETIME, 7200);
  assert.equal(settings.connections[0]?.IPSEC_NAME, "from-file");
  assert.equal(settings.connections[0]?.IPSEC_IKELIFETIME, 18_000);
  assert.equal(settings.connections[0]?.IPSEC_DPD_DELAY, 30);
});

test("what ENVFILE sets to nothing is unset", async () => {
  const { settings } = await loadSettings(
    { ...minimal, ENVFILE: file("IPSEC_LIFETIME=\n"), IPSEC_LIFETIME: "3h" },
    "gateway",
  );
  assert.equal(settings.connections[0]?.IPSEC_LIFETIME, 3600);
});

test("a file that is named and cannot be read ends in 74, and everything else is told too", async () => {
  const failure = await failureOf({ ENVFILE: "/nonexistent/site.env", IPSEC_LIFETIME: "x" });
  assert.equal(failure.exitCode, exitCodes.inputOutput);
  assert.equal(failure.problems[0]?.variable, "ENVFILE");
  assert.match(
    failure.problems[0]?.message ?? "",
    /ENVFILE="\/nonexistent\/site\.env" cannot be read: ENOENT/,
  );
  assert.ok(failure.problems.some(({ variable }) => variable === "IPSEC_LIFETIME"));
});

test("directories and endless devices are told, not read for ever", async () => {
  assert.match((await failureOf({ ...minimal, ENVFILE: directory })).message, /EISDIR/);
  assert.match((await failureOf({ ...minimal, ENVFILE: "/dev/zero" })).message, /more than 4 MiB/);
  assert.match(
    (await failureOf({ ...withoutKey, IPSEC_PSK_FILE: "/dev/urandom" })).message,
    /more than 4 MiB/,
  );
});

test("quotes around a path are taken off with a warning", async () => {
  const envFile = file("IPSEC_NAME=quoted\n");
  const key = file("a key of twenty bytes or more");
  const { settings, warnings } = await loadSettings(
    { ...withoutKey, ENVFILE: `"${envFile}"`, IPSEC_PSK_FILE: `'${key}'` },
    "gateway",
  );
  assert.equal(settings.connections[0]?.IPSEC_NAME, "quoted");
  assert.deepEqual(warnings.map(({ variable }) => variable).toSorted(), ["ENVFILE", "IPSEC_PSK_FILE"]);
});

test("a key's file gives its bytes as they are, less one newline at the end", async () => {
  assert.equal(await keyFrom("a key\n"), "a key");
  assert.equal(await keyFrom("a key\r\n"), "a key");
  assert.equal(await keyFrom("a key\n\n"), "a key\n");
  assert.equal(await keyFrom(' "a key" '), ' "a key" ');
  assert.equal(await keyFrom(Buffer.from([0, 255, 10, 254, 0x22])), '\x00\xff\n\xfe"');
  assert.equal(await keyFrom("0x00ff\n"), "\x00\xff");
  assert.equal(await keyFrom("0sAP8=\n"), "\x00\xff");
});

test("a key's file that is empty or missing is told once, by its name", async () => {
  assert.deepEqual(
    (await failureOf({ ...withoutKey, IPSEC_PSK_FILE: file("\n") })).problems.map(({ variable }) => variable),
    ["IPSEC_PSK"],
  );
  const missing = await failureOf({ ...withoutKey, IPSEC_PSK_FILE: "/nonexistent/key" });
  assert.equal(missing.exitCode, exitCodes.inputOutput);
  assert.deepEqual(
    missing.problems.map(({ variable }) => variable),
    ["IPSEC_PSK_FILE"],
  );
});

test("what names no file is not shown where it may be the secret itself", async () => {
  using pki = createPki();
  const { privateKey } = pki.root("/CN=moon").issue({ subject: "/CN=moon", kind: "ed25519" });
  for (const misplaced of ["the key of both sites", "/k3Jx+/0q/Yw==", privateKey]) {
    const { problems } = await failureOf({
      ...withoutKey,
      IPSEC_PSK_FILE: misplaced,
      IPSEC_PRIVATE_KEY_FILE: misplaced,
    });
    const said = JSON.stringify(problems);
    assert.match(said, /the file of IPSEC_PSK_FILE cannot be read: /);
    assert.match(said, /which belongs into IPSEC_PRIVATE_KEY"/);
    for (const line of misplaced.trim().split("\n")) assert.ok(!said.includes(line), said);
  }
  const { message } = await failureOf({ ...withoutKey, IPSEC_PSK_FILE: "/usr/nonexistent/key" });
  assert.match(message, /IPSEC_PSK_FILE="\/usr\/nonexistent\/key" cannot be read: ENOENT/);
});

test("a key and a key's file together are refused", async () => {
  const { problems, exitCode } = await failureOf({ ...minimal, IPSEC_PSK_FILE: file("x") });
  assert.equal(exitCode, exitCodes.configuration);
  assert.deepEqual(
    problems.map(({ variable }) => variable),
    ["IPSEC_PSK, IPSEC_PSK_FILE"],
  );
});

test("the traps of ENVFILE are errors like those of values", async () => {
  const { problems, exitCode } = await failureOf({
    ...minimal,
    ENVFILE: file("IPSEC_NAME=x#y\nIPSEC_LIFETIME=no\n"),
  });
  assert.equal(exitCode, exitCodes.configuration);
  assert.deepEqual(
    problems.map(({ variable }) => variable),
    ["IPSEC_NAME", "IPSEC_LIFETIME"],
  );
});

test("a byte order mark does not hide the first variable", async () => {
  const { settings } = await loadSettings(
    { ...minimal, ENVFILE: file("\ufeffIPSEC_NAME=marked\n") },
    "gateway",
  );
  assert.equal(settings.connections[0]?.IPSEC_NAME, "marked");
});

test("bytes that are no UTF-8 in ENVFILE never make another key", async () => {
  const content = Buffer.concat([
    Buffer.from("IPSEC_PSK='caf"),
    Buffer.from([0xe9]),
    Buffer.from(" and twenty bytes more'\n"),
  ]);
  const { problems } = await failureOf({ ...withoutKey, ENVFILE: file(content) });
  assert.deepEqual(
    problems.map(({ variable }) => variable),
    ["IPSEC_PSK"],
  );
});

test("an ENVFILE named in an ENVFILE is not read", async () => {
  const inner = file("IPSEC_NAME=inner\n");
  const { environment } = await readEnvironment(
    { ENVFILE: file(`ENVFILE=${inner}\n`) },
    { withSecrets: true },
  );
  assert.equal(environment.has("IPSEC_NAME"), false);
});

test("certificates and keys come from files, of the environment and of each connection", async () => {
  using pki = createPki();
  const root = pki.root("/CN=root");
  const [moon, hub] = ["moon", "hub"].map((name) => root.issue({ subject: `/CN=${name}` })) as [
    Issued,
    Issued,
  ];
  const connections = file(`
defaults:
  auth: pubkey
  localnet: 10.1.0.0/16
  ca_cert_file: ${file(root.certificate)}
connections:
  berlin:
    remoteip: 192.0.2.2
    remotenet: 10.2.0.0/16
    cert_file: ${file(moon.certificate)}
    privateKeyFile: ${file(moon.privateKey)}
  paris:
    remoteip: 192.0.2.3
    remotenet: 10.3.0.0/16
  rome:
    remoteip: 192.0.2.4
    remotenet: 10.4.0.0/16
`);
  const { settings } = await loadSettings(
    {
      IPSEC_CONFIG_FILE: connections,
      IPSEC_CERT_FILE: file(hub.certificate),
      IPSEC_PRIVATE_KEY_FILE: file(hub.privateKey),
      IPSEC_ROME_CERT_FILE: file(moon.certificate),
      IPSEC_ROME_PRIVATE_KEY: moon.privateKey,
    },
    "gateway",
  );
  assert.deepEqual(
    settings.connections.map(({ IPSEC_NAME: name, IPSEC_LOCALID: identity }) => [
      name,
      identity.kind === "dn" && identity.text,
    ]),
    [
      ["berlin", "CN=moon"],
      ["paris", "CN=hub"],
      ["rome", "CN=moon"],
    ],
  );
});

test("a certificate's file that is missing is told once, by its name", async () => {
  const { problems, exitCode } = await failureOf({
    ...withoutKey,
    IPSEC_AUTH: "pubkey",
    IPSEC_CERT_FILE: "/nonexistent/cert.pem",
    IPSEC_PRIVATE_KEY_FILE: "/nonexistent/key.pem",
    IPSEC_CA_CERT_FILE: file("nothing"),
  });
  assert.equal(exitCode, exitCodes.inputOutput);
  assert.deepEqual(
    problems.map(({ variable }) => variable),
    ["IPSEC_CERT_FILE", "IPSEC_PRIVATE_KEY_FILE", "IPSEC_CA_CERT"],
  );
});
