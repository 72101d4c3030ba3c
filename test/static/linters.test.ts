import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { repository } from "../support/repository.ts";

/** Runs to the end; whatever it finds is the failure's message. */
const findsNothing = async (program: string, ...argv: readonly string[]): Promise<void> => {
  const { failed, said } = await run(program, argv);
  assert.ok(!failed, `${[program, ...argv].join(" ")}\n${said}`);
};

test("biome has nothing to say", () => findsNothing("biome", "check", "--error-on-warnings", "."));

test("the types are right", () => findsNothing("tsc"));

test("no file, export or dependency is unused", () => findsNothing("knip"));

test("generated files are what their source says", () =>
  findsNothing("node", "scripts/generate.ts", "--check"));

test("shellcheck has nothing to say about any shell script", async () => {
  await findsNothing("shellcheck", "--external-sources", ...(await shellScripts()));
});

test("every shell script is formatted by shfmt", async () => {
  await findsNothing("shfmt", "--diff", ...(await shellScripts()));
});

/** By name or first line, wherever they are. */
const shellScripts = async (): Promise<readonly string[]> => {
  const places = readdirSync(repository).filter((entry) => !notOurs.has(entry));
  const { failed, said } = await run("shfmt", ["--find", ...places]);
  const scripts = said.split("\n").filter(Boolean);
  assert.ok(!failed && scripts.includes("scripts/test"), said);
  return scripts;
};

const notOurs = new Set([".git", ".cache", "node_modules", "dist"]);

const run = (program: string, argv: readonly string[]): Promise<{ failed: boolean; said: string }> =>
  new Promise((resolve) => {
    execFile(program, argv, { cwd: repository, maxBuffer: 1e8 }, (error, stdout, stderr) => {
      const fault = error?.code === "ENOENT" ? `${program} is not installed` : "";
      resolve({ failed: error !== null, said: stdout + stderr + fault });
    });
  });
