import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import type { Context, Output } from "../../src/commands/context.ts";
import { render } from "../../src/commands/render.ts";
import { createControl } from "../../src/daemon/control.ts";
import { version } from "../../src/version.ts";
import { environmentOfCase } from "../support/golden-case.ts";

const cases = join(import.meta.dirname, "cases");

/** `UPDATE_GOLDEN=1` writes what is rendered in the place of what was expected; look at the difference then. */
const isUpdate = process.env["UPDATE_GOLDEN"] === "1";

for (const name of readdirSync(cases)) {
  test(`the case ${name} is rendered as expected, file by file`, async () => {
    const expected = join(cases, name, "expected");
    if (isUpdate) {
      rmSync(expected, { recursive: true, force: true });
      await renderInto(expected, name);
      return;
    }
    const directory = mkdtempSync(join(tmpdir(), "vnf-ipsec-golden-"));
    try {
      await renderInto(directory, name);
      assert.deepEqual(contentsOf(directory), contentsOf(expected));
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
}

for (const name of readdirSync(cases)) {
  const expected = join(cases, name, "commands.txt");
  if (!existsSync(expected)) continue;
  test(`the case ${name} has the expected commands`, async () => {
    const output: string[] = [];
    assert.equal(
      await render(
        contextOf(name, (text) => output.push(text)),
        { json: true },
      ),
      0,
    );
    const { commands } = JSON.parse(output.join("")) as {
      readonly commands: readonly { readonly when: string; readonly command: string }[];
    };
    const text = commands.map(({ when, command }) => `# ${when}\n${command}\n`).join("");
    if (isUpdate) writeFileSync(expected, text);
    else assert.equal(text, readFileSync(expected, "utf8"));
  });
}

const renderInto = async (outputDir: string, name: string): Promise<void> => {
  assert.equal(await render(contextOf(name), { outputDir, showSecrets: true }), 0);
};

const contextOf = (name: string, write: (text: string) => void = () => {}): Context => {
  const silent: Output = { write: () => {}, isTerminal: false, hasColors: false };
  return {
    environment: environmentOfCase(join(cases, name)),
    stdout: { ...silent, write },
    stderr: silent,
    control: createControl(),
    version,
  };
};

/** Every file below the directory by its path; a directory that is not there holds none, as in manual configuration. */
const contentsOf = (directory: string): Readonly<Record<string, string>> => {
  if (!existsSync(directory)) return {};
  const found = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  return Object.fromEntries(
    found
      .map((entry) => join(entry.parentPath, entry.name))
      .toSorted()
      .map((path) => [path.slice(directory.length), readFileSync(path, "utf8")]),
  );
};
