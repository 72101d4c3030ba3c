import { readFileSync, writeFileSync } from "node:fs";
import process from "node:process";
import * as z from "zod/mini";
import { markdownSummary, renderReference } from "../src/settings/reference.ts";
import { statusSchema } from "../src/status/status-schema.ts";

/** Writes every text that derives from the code; with `--check` it fails when one is stale instead. */
const generated: readonly { readonly path: string; readonly text: (before: string) => string }[] = [
  {
    path: "README.md",
    text: (before) =>
      before.replace(/(<!-- variables -->\n)[\s\S]*?(<!-- \/variables -->)/, `$1\n${markdownSummary()}\n$2`),
  },
  { path: "docs/variables.md", text: () => `${introduction}\n${renderReference("markdown")}` },
  { path: "docs/connections.schema.json", text: () => renderReference("connections-schema") },
  { path: "docs/variables.schema.json", text: () => renderReference("json-schema") },
  { path: ".env.example", text: () => renderReference("env") },
  {
    path: "docs/status.schema.json",
    text: () => `${JSON.stringify(statusJsonSchema(), null, 2)}\n`,
  },
];

const introduction = `# Variables

Generated from \`src/settings/variables.ts\` by \`npm run generate\`. The rules by which they are read are in the
[README](../README.md#configuration).
`;

const isCheck = process.argv.includes("--check");
const stale: string[] = [];
for (const { path, text } of generated) {
  const url = new URL(`../${path}`, import.meta.url);
  const before = readIfPresent(url);
  const after = text(before);
  if (before === after) continue;
  stale.push(path);
  if (!isCheck) writeFileSync(url, after);
}
if (isCheck && stale.length > 0) {
  process.stderr.write(`stale: ${stale.join(", ")}; run npm run generate\n`);
  process.exitCode = 1;
}

/** Open to fields that are still to come. The pattern of a time would hide that it is one. */
function statusJsonSchema(): object {
  const schema = z.toJSONSchema(statusSchema, {
    io: "input",
    override: ({ jsonSchema }) => {
      if (jsonSchema.format === "date-time") delete jsonSchema.pattern;
    },
  });
  return { title: "What vnf-ipsec status --json prints, version 1", ...schema };
}

function readIfPresent(url: URL): string {
  try {
    return readFileSync(url, "utf8");
  } catch {
    return "";
  }
}
