import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import fc from "fast-check";
import { repository } from "../support/repository.ts";

/**
 * What `apk info -v` said in alpine:3.19 (apk-tools 2.14.4), and in alpine:3.24.1 (apk-tools 3.0.6) with git, curl and
 * python3 added: recordings that others have published as data of their tests.
 */
const recorded = (version: string): string =>
  readFileSync(join(import.meta.dirname, "freeze-apk-versions", `apk-tools-${version}.txt`), "utf8");

/** Runs the script where `apk` is one that says this for `info -v`, and that takes `update` and nothing else besides. */
const freeze = (context: TestContext, listing: string, { updateExitCode = 0 } = {}) => {
  const home = mkdtempSync(join(tmpdir(), "vnf-ipsec-freeze-"));
  context.after(() => rmSync(home, { recursive: true }));
  writeFileSync(`${home}/listing`, listing);
  const standIn = `#!/bin/sh
echo "$*" >>${home}/calls
case $* in
update) echo fetching; exit ${updateExitCode} ;;
"info -v") cat ${home}/listing ;;
*) exit 99 ;;
esac
`;
  writeFileSync(`${home}/apk`, standIn, { mode: 0o755 });
  const { status, stdout, stderr } = spawnSync(`${repository}/scripts/freeze_apk_versions`, {
    env: { HOME: home, PATH: `${home}:/usr/bin:/bin` },
    encoding: "utf8",
  });
  const written = (): string => readFileSync(`${home}/MANIFEST`, "utf8");
  return { status, stdout, stderr, written, calls: readFileSync(`${home}/calls`, "utf8") };
};

for (const version of ["2.14.4", "3.0.6"])
  test(`each package that apk-tools ${version} lists is printed once as name=version, sorted, after an update, and written to MANIFEST`, (context) => {
    const listing = recorded(version);
    const { status, stdout, stderr, written, calls } = freeze(context, listing);
    assert.equal(status, 0, stderr);
    assert.equal(calls, "update\ninfo -v\n");
    const lines = stdout.trimEnd().split("\n");
    assert.equal(lines.length, listing.trimEnd().split("\n").length);
    assert.deepEqual(
      lines.map((line) => line.replace("=", "-")).sort(),
      listing.trimEnd().split("\n").sort(),
    );
    const names = lines.map((line) => line.split("=")[0] as string);
    assert.deepEqual(names, names.toSorted());
    assert.equal(written(), stdout);
    assert.ok(lines.includes(`apk-tools=${version}-r0`));
  });

test("digits and dashes of a name are not taken for its version", (context) => {
  const { stdout } = freeze(context, `${recorded("3.0.6")}gcc-gnat-15-15.2.0-r5\n`);
  for (const line of [
    "libcrypto3=3.5.7-r0",
    "python3-pycache-pyc0=3.14.8-r0",
    "ncurses-terminfo-base=6.6_p20260516-r0",
    "libstdc++=15.2.0-r5",
    "ca-certificates-bundle=20260611-r0",
    "gcc-gnat-15=15.2.0-r5",
  ])
    assert.match(stdout, new RegExp(`^${line.replaceAll(/[+.]/g, "\\$&")}$`, "m"));
});

test("whatever name and version a package has, they are told apart", (context) => {
  const name = fc.stringMatching(/^[a-z0-9][a-z0-9_.+]{0,6}(-[a-z0-9_.+]{1,6}){0,3}$/);
  const version = fc.stringMatching(
    /^[0-9]{1,3}(\.[0-9]{1,3}){0,3}[a-z]?(_(alpha|git|p|rc)[0-9]{0,8})?-r[0-9]{1,2}$/,
  );
  const packages = fc.sample(fc.tuple(name, version), { numRuns: 300 });
  const listing = packages.map(([one, of]) => `${one}-${of}\n`).join("");
  const { stdout } = freeze(context, listing);
  const expected = packages.map(([one, of]) => `${one}=${of}`);
  assert.deepEqual(stdout.trimEnd().split("\n").sort(), expected.sort());
});

test("a virtual package, which no repository has, is left out", (context) => {
  const { status, stdout } = freeze(context, `.python-rundeps-20260616.002526\n${recorded("2.14.4")}`);
  assert.equal(status, 0);
  assert.doesNotMatch(stdout, /rundeps/);
});

test("what is no package with a version is an error, and nothing is written", (context) => {
  const { status, stderr, written } = freeze(context, `${recorded("2.14.4")}strange\n`);
  assert.equal(status, 70);
  assert.match(stderr, /error: .*strange/);
  assert.throws(written, { code: "ENOENT" });
});

test("when the metadata cannot be refreshed nothing is written", (context) => {
  const { status, written } = freeze(context, recorded("2.14.4"), { updateExitCode: 1 });
  assert.notEqual(status, 0);
  assert.throws(written, { code: "ENOENT" });
});
