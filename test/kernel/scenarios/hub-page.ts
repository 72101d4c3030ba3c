import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { repository } from "../../support/repository.ts";

type Command = {
  readonly environment: Readonly<Record<string, string>>;
  readonly words: readonly [string, ...string[]];
};

/** What a section of docs/virtual-interfaces.md writes, as path and content, and the commands that it gives. */
export const readHubPage = (
  heading: string,
): { files: readonly (readonly [string, string])[]; commands: readonly Command[] } => {
  const page = readFileSync(`${repository}/docs/virtual-interfaces.md`, "utf8");
  const [section = assert.fail(heading)] = page
    .split(/^(?=## )/m)
    .filter((text) => text.startsWith(`## ${heading}\n`));
  const blocks = [...section.matchAll(/^(\S.*)\n\n((?: {4}.*\n|\n(?= {4}))+)/gm)].map(
    ([, before = "", block = ""]) => [before, block.replace(/^ {4}/gm, "")] as const,
  );
  const files = blocks.flatMap(([before, content]) => {
    const path = /`(\/etc\/[^`]+)`[^`]*:$/.exec(before)?.[1];
    return path === undefined ? [] : [[path, content] as const];
  });
  const commands = blocks
    .filter(([before]) => !files.some(([path]) => before.includes(path)))
    .flatMap(([, block]) => block.trim().split("\n").map(parseCommand));
  return { files, commands };
};

const parseCommand = (line: string): Command => {
  const words = line.split(" ");
  const assignments = words.filter((word) => /^[A-Z_]+=/.test(word));
  const [program = "", ...rest] = words.slice(assignments.length);
  return {
    environment: Object.fromEntries(assignments.map((word) => word.split("=") as [string, string])),
    words: [program, ...rest],
  };
};
