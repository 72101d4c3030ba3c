import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { parse } from "dotenv";
import fc from "fast-check";
import { backends } from "../../../src/backend/backends.ts";
import { renderFiles } from "../../../src/backend/files.ts";
import { loadSettings } from "../../../src/commands/load-settings.ts";
import { printProblems } from "../../../src/commands/print-problems.ts";
import { exitCodes, Failure } from "../../../src/failure.ts";
import { onDataplane } from "../../../src/gateway/dataplane.ts";
import { buildGateway } from "../../../src/gateway/from-settings.ts";
import { loadTemplates } from "../../../src/load-templates.ts";
import { hostileConnectionsFile } from "../../support/hostile-connections-file.ts";
import {
  formsOfCanary,
  type HostileCase,
  hostileEnvironment,
  hostileSeed,
  materialize,
} from "../../support/hostile-environment.ts";
import { repository } from "../../support/repository.ts";
import { attempts } from "../../support/scale.ts";

const directory = mkdtempSync(join(tmpdir(), "vnf-ipsec-hostile-"));
after(() => rmSync(directory, { recursive: true, force: true }));
const templates = loadTemplates();

/** Of the golden cases: a CA, and the peer's certificate itself. */
const credentials = ["certificates", "certificates-pinned"].map((name) => {
  const values = parse(readFileSync(join(repository, "test/golden/cases", name, "input.env")));
  const own = Object.entries(values).filter(([variable]) =>
    /_(?:AUTH|CERT|PRIVATE_KEY|REVOCATION|LOCALID|REMOTEID)$/.test(variable),
  );
  // Hardly an identity that is drawn is in them.
  return { IPSEC_LOCALID: "", IPSEC_REMOTEID: "", ...Object.fromEntries(own) };
});

const maximumBytes = 64 * 1024;

/** What `render` does, with its output in memory and the templates compiled once. */
const outcomeOf = async (environment: Readonly<Record<string, string>>) => {
  let stderr = "";
  const write = (text: string): void => {
    stderr += text;
  };
  const output = { write, isTerminal: false, hasColors: false };
  try {
    const { settings, warnings } = await loadSettings(environment, "gateway");
    printProblems("warning", warnings, output);
    const files = (["kernel", "userspace"] as const).flatMap((dataplane) =>
      renderFiles(backends[settings.gateway.IPSEC_BACKEND], onDataplane(buildGateway(settings), dataplane), {
        templates,
        dataplane,
        manualCharon: settings.gateway.IPSEC_MANUAL_CHARON,
      }),
    );
    return { exitCode: exitCodes.ok, stderr, files };
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    printProblems("warning", error.warnings, output);
    printProblems("error", error.problems, output);
    return { exitCode: error.exitCode, stderr, files: [] };
  }
};

test("any environment is either rendered or refused in words, without a stack, in bounds and without its secret", () =>
  assertSurvives(hostileEnvironment(), {
    attempts: attempts({ usual: 2_000, full: 100_000 }),
    outcomes: [exitCodes.ok, exitCodes.inputOutput, exitCodes.configuration],
  }));

test("so is any with certificates", () =>
  assertSurvives(hostileEnvironment({ credentials }), {
    attempts: attempts({ usual: 1_000, full: 50_000 }),
    outcomes: [exitCodes.ok, exitCodes.configuration],
    certified: 20,
  }));

test("so is any file of connections", () =>
  assertSurvives(hostileConnectionsFile(), {
    attempts: attempts({ usual: 1_000, full: 20_000 }),
    outcomes: [exitCodes.ok, exitCodes.configuration],
  }));

test("so is any file of connections with certificates", () =>
  assertSurvives(hostileConnectionsFile({ credentials }), {
    attempts: attempts({ usual: 1_000, full: 20_000 }),
    outcomes: [exitCodes.ok, exitCodes.configuration],
    certified: 8,
  }));

const assertSurvives = async (
  hostileCase: fc.Arbitrary<HostileCase>,
  wanted: {
    readonly attempts: number;
    readonly outcomes: readonly number[];
    /** How often certificates must have been written, at least. */
    readonly certified?: number;
  },
): Promise<void> => {
  const seen = new Map<number, number>();
  let certified = 0;
  await fc.assert(
    fc.asyncProperty(hostileCase, async (hostile) => {
      const { exitCode, stderr, files } = await outcomeOf(materialize(hostile, directory));
      seen.set(exitCode, (seen.get(exitCode) ?? 0) + 1);
      assert.ok(
        ([exitCodes.ok, exitCodes.inputOutput, exitCodes.configuration] as number[]).includes(exitCode),
      );
      assert.ok(Buffer.byteLength(stderr) < maximumBytes, `${Buffer.byteLength(stderr)} bytes of stderr`);
      for (const line of stderr.split("\n").slice(0, -1)) {
        assert.match(line, /^vnf-ipsec: (?:error|warning|hint): \P{Cc}*$/u);
      }
      assert.doesNotMatch(stderr, /^\s+at .*:\d+:\d+/m);
      const shown = [stderr, ...files.map(({ path, text }) => path + text)].join("\n");
      for (const form of formsOfCanary(hostile.canary))
        assert.ok(!shown.includes(form), `shows the secret as ${form}`);
      for (const { path, text } of files) assertWellFormed(path, text);
      if (files.some(({ text }) => text.includes("-----BEGIN CERTIFICATE-----"))) certified += 1;
    }),
    // What it prints can be run again; to find a smaller one would take hours where a case takes long.
    { seed: hostileSeed(), numRuns: wanted.attempts, endOnFailure: true },
  );
  assert.ok(certified >= (wanted.certified ?? 0), `only ${certified} with certificates`);
  for (const exitCode of wanted.outcomes) {
    assert.ok((seen.get(exitCode) ?? 0) > 20, `only ${seen.get(exitCode)} ended in ${exitCode}`);
  }
};

test("the most that can be wrong at once still fits into what is printed", async () => {
  const control = "\u0001".repeat(90);
  const unknown = Object.fromEntries(
    Array.from({ length: 300 }, (_, index) => [`IPSEC_${index}${control}`, "x"]),
  );
  const list = Array.from({ length: 255 }, () => control).join(",");
  const { stderr } = await outcomeOf({
    ...unknown,
    IPSEC_LOCALNET: list,
    IPSEC_REMOTENET: list,
    IPSEC_ESPCIPHER: list,
    IPSEC_INTERFACES: list,
  });
  assert.ok(Buffer.byteLength(stderr) < maximumBytes, `${Buffer.byteLength(stderr)} bytes of stderr`);
  assert.match(stderr, /and \d+ more/);
});

/** No value has opened a line, a section or a connection of its own. */
const assertWellFormed = (path: string, text: string): void => {
  assert.match(text, /^[\n\t\x20-\x7e]*$/, path);
  if (path.endsWith("/charon.conf")) {
    assert.equal(text.split("{").length, text.split("}").length, path);
    return;
  }
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  if (/\.(?:crt|key|pem)$/.test(path)) {
    if (lines.length === 1) assert.equal(lines[0], "***", path);
    else
      assert.match(
        lines.join("\n"),
        /^-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n]+\n-----END CERTIFICATE-----$/,
      );
    return;
  }
  if (path.startsWith("/etc/swanctl/")) {
    for (const line of lines)
      assert.match(line, /^\t*(?:[a-z][a-z0-9_-]* \{|\}|[a-z0-9_-]+ = (?:"[^"]*"|[^\s"#={}]+))$/, path);
    assert.equal(
      lines.filter((line) => line.endsWith("{")).length,
      lines.filter((line) => line.endsWith("}")).length,
    );
    const isCertified = lines.includes("\t\t\tauth = pubkey");
    assert.equal(lines.filter((line) => line === "\t\tsecret = ***").length, isCertified ? 0 : 1, path);
    return;
  }
  if (path.endsWith(".secrets")) {
    assert.equal(lines.length, 1, path);
    assert.match(
      lines[0] ?? "",
      /^(?:(?:"[^"]+" )+: PSK \*\*\*|: PKCS8 \/etc\/ipsec\.secrets\.d\/ipsec\.[a-z0-9-]+\.key)$/,
    );
    return;
  }
  for (const line of lines)
    assert.match(
      line,
      /^(?:config setup|(?:conn|ca) [a-z][a-z0-9-]*(?:_\d+)?|\t[a-z]+=(?:"[^"]*"|[^\s"#=]+))$/,
      path,
    );
};
