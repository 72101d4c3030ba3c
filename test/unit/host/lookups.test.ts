import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { lookupsOf } from "../../../src/host/lookups.ts";

const root = realpathSync(mkdtempSync(join(tmpdir(), "lookups-")));
after(() => rmSync(root, { recursive: true }));

/** Below the directory of this test. */
const lookups = (path: string): readonly string[] =>
  lookupsOf(join(root, path))
    .map(({ directory, name }) => join(directory, name))
    .filter((entry) => entry.startsWith(`${root}/`))
    .map((entry) => entry.slice(root.length + 1));

test("a file is looked up through every directory above it, from the root", () => {
  const [first, ...others] = lookupsOf(join(root, "file"));
  assert.equal(first?.directory, "/");
  assert.deepEqual(others.at(-1), { directory: root, name: "file" });
});

test("of a Kubernetes volume the links are looked up, and the directory of this version", () => {
  mkdirSync(join(root, "volume/..2026"), { recursive: true });
  writeFileSync(join(root, "volume/..2026/psk"), "");
  symlinkSync("..2026", join(root, "volume/..data"));
  symlinkSync("..data/psk", join(root, "volume/psk"));
  assert.deepEqual(lookups("volume/psk"), [
    "volume",
    "volume/psk",
    "volume/..data",
    "volume/..2026",
    "volume/..2026/psk",
  ]);
});

test("links to absolute paths and to directories above are followed", () => {
  mkdirSync(join(root, "a/b"), { recursive: true });
  writeFileSync(join(root, "target"), "");
  symlinkSync("../../target", join(root, "a/b/up"));
  symlinkSync(join(root, "a/b/up"), join(root, "absolute"));
  assert.deepEqual(lookups("absolute"), ["absolute", "a", "a/b", "a/b/up", "target"]);
});

test("it ends where an entry is missing, and in a loop of links", () => {
  assert.deepEqual(lookups("missing/deep/file"), ["missing"]);
  symlinkSync("two", join(root, "one"));
  symlinkSync("one", join(root, "two"));
  assert.ok(lookups("one").length <= 42);
});
