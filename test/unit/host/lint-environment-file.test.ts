import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { parse } from "dotenv";
import fc from "fast-check";
import { lintEnvironmentFile } from "../../../src/host/lint-environment-file.ts";

const problemsOf = (text: string) =>
  lintEnvironmentFile(text, "/site.env").map(({ variable, message, hint }) => ({ variable, message, hint }));

test("what a shell and dotenv read alike is accepted", () => {
  for (const text of [
    "",
    "# a comment\n\n   # another\n",
    "A=1\r\nB=2\r\n",
    "export A=1",
    "  A=1",
    "A=",
    "A=10.1.0.0/16,10.2.0.0/16",
    "A=1 # a comment",
    "A='$x # \\ `y` \"z\"'",
    'A="a b # c"',
    "A='two\nlines'",
    "A=%any",
    "A=C=DE",
    "A='1' # a comment",
  ]) {
    assert.deepEqual(problemsOf(text), [], text);
  }
});

test("each trap is told with its file, line and variable, and with the way out", () => {
  for (const [text, reason] of [
    ["A=ab#cd", /unquoted #/],
    ["A=$HOME", /unquoted \$/],
    ["A=a\\b", /unquoted backslash/],
    ["A=it's", /unquoted backslash or quote/],
    ["A=a;b", /a shell would interpret/],
    ["A=10.1.0.0/16, 10.2.0.0/16", /white space inside/],
    ["A=x reboot", /white space inside/],
    ["A= x", /white space after the =/],
    ["A=~/site.env", /unquoted ~/],
    ["A=`id`", /backquotes/],
    ['A="$x"', /\$ in double quotes/],
    ['A="a\\nb"', /backslash/],
    ["A='one' two", /goes on after its closing quote/],
    ["A='open", /no closing '/],
  ] as const) {
    const [problem, ...others] = problemsOf(`# first\n${text}\n`);
    assert.deepEqual(others, [], text);
    assert.equal(problem?.variable, "A", text);
    assert.match(problem?.message ?? "", /^\/site\.env:2: A: /);
    assert.match(problem?.message ?? "", reason);
    assert.ok(problem?.hint, text);
  }
});

test("a line that is no assignment is told without its text", () => {
  for (const text of ["IPSEC_PSK canary", "canary", "export", "A =1", "1A=2", "A-B=1", "canary\u0000=x"]) {
    const [problem] = problemsOf(text);
    assert.match(problem?.message ?? "", /neither NAME=value nor a comment/, text);
    assert.doesNotMatch(JSON.stringify(problem), /canary/);
  }
});

test("values are never shown", () => {
  for (const value of ["cana#ry", "$canary", "'canary", '"canary\\', "canary;", "`canary`", "'x' canary"]) {
    assert.doesNotMatch(JSON.stringify(problemsOf(`IPSEC_PSK=${value}`)), /cana/, value);
  }
});

test("a path with control characters is shown escaped", () => {
  const [problem] = lintEnvironmentFile("nonsense", "/a\u001b[2J\nb");
  assert.match(problem?.message ?? "", /^\/a\\u001b\[2J\\nb:1: /);
});

test("a file without a problem gives a shell and dotenv the same values", () => {
  const value = fc.oneof(
    fc.stringMatching(/^[ -~\n]{0,12}$/),
    fc.stringMatching(/^[ -~\n]{0,8}$/).map((one) => `'${one}'`),
    fc.stringMatching(/^[ -~\n]{0,8}$/).map((one) => `"${one}"`),
    fc.stringMatching(/^[a-z0-9 #=,./%:'"-]{0,10}$/),
  );
  const accepted: string[] = [];
  fc.assert(
    fc.property(fc.tuple(fc.constantFrom("", "export ", "\t"), value), ([prefix, one]) => {
      const text = `${prefix}A=${one}\n`;
      if (lintEnvironmentFile(text, "x").length === 0) accepted.push(text);
    }),
    { numRuns: 1500 },
  );
  assert.ok(accepted.length > 200, `only ${accepted.length} were accepted`);
  const read = shellValues(accepted);
  for (const [index, text] of accepted.entries()) {
    const fromDotenv = parse(text)["A"]?.trim() ?? "";
    assert.equal(fromDotenv, read[index]?.trim(), JSON.stringify(text));
  }
});

/** One shell for all; values are separated by what none of them holds, and there is no program that it could find. */
const shellValues = (files: readonly string[]): readonly string[] => {
  const directory = mkdtempSync(join(tmpdir(), "vnf-ipsec-lint-"));
  try {
    for (const [index, text] of files.entries()) writeFileSync(join(directory, `${index}`), text);
    const script = `for ((i = 0; i < $1; i++)); do (A=; . "$2/$i"; printf '%s\\001' "$A"); done`;
    const output = execFileSync("/bin/bash", ["--norc", "-c", script, "bash", `${files.length}`, directory], {
      env: { PATH: "/nonexistent", HOME: "/nonexistent" },
      encoding: "latin1",
      stdio: ["ignore", "pipe", "ignore"],
      timeout: 60_000,
    });
    return output.split("\u0001");
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
};
