import { spawnSync } from "node:child_process";
import crypto from "node:crypto";
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { type BuildOptions, build, type Plugin } from "esbuild";
import { templateNames } from "../src/backend/templates.ts";

/**
 * Makes `dist/`, or the folder that is named: the whole program as one CommonJS file with compiled templates, and a launcher that has Node keep
 * its compiled code beside it. Nothing else, no node_modules, is needed where it runs.
 */
const root = fileURLToPath(new URL("..", import.meta.url));
const target = process.argv[2] ?? `${root}/dist`;
const require = createRequire(import.meta.url);
const handlebars = require("handlebars") as { precompile: (text: string, options: object) => string };

rmSync(target, { recursive: true, force: true });
mkdirSync(target);

/** The compiled layouts in the place of the module that reads and compiles them. */
const compiledTemplates: Plugin = {
  name: "compiled-templates",
  setup: (context) => {
    context.onLoad({ filter: /src\/load-templates\.ts$/ }, () => ({
      contents: templatesModule(),
      loader: "js",
      resolveDir: root,
    }));
  },
};

const templatesModule = (): string => {
  const entries = templateNames.map((name) => {
    const text = readFileSync(`${root}/templates/${name}.hbs`, "utf8");
    return `${JSON.stringify(name)}: template(${handlebars.precompile(text, { noEscape: true, strict: true })})`;
  });
  return [
    'import runtime from "handlebars/runtime.js";',
    "const { template } = runtime;",
    `const templates = {${entries.join(",\n")}};`,
    "export const loadTemplates = () => templates;",
  ].join("\n");
};

/** commander can start executables as commands; ours has none, and loading Node's module for that takes milliseconds. */
const commanderWithoutPrograms: Plugin = {
  name: "commander-without-programs",
  setup: (context) => {
    context.onResolve({ filter: /^node:child_process$/ }, ({ importer }) =>
      importer.includes("/commander/") ? { path: "no-programs", namespace: "stub" } : undefined,
    );
    context.onLoad({ filter: /.*/, namespace: "stub" }, () => ({
      contents: "module.exports = {};",
      loader: "js",
    }));
  },
};

/** Few have certificates, and to load Node's cryptography takes a sixth of what Node takes to start: so not before it is used. */
const cryptographyWhenUsed: Plugin = {
  name: "cryptography-when-used",
  setup: (context) => {
    context.onResolve({ filter: /^(?:node:)?crypto$/ }, ({ namespace }) =>
      namespace === "late" ? { path: "node:crypto", external: true } : { path: "crypto", namespace: "late" },
    );
    context.onLoad({ filter: /.*/, namespace: "late" }, () => ({
      contents: Object.keys(crypto).map(lateExport).join("\n"),
      loader: "js",
    }));
  },
};

const lateExport = (name: string): string =>
  `Object.defineProperty(exports, "${name}", { enumerable: true, get: () => require("node:crypto").${name} });`;

/** What few commands need is a file of its own, so that the others do not read it. */
const librariesOfFew = ["execa", "pino", "pino-pretty", "yaml"] as const;

const separateLibraries: Plugin = {
  name: "separate-libraries",
  setup: (context) =>
    context.onResolve({ filter: new RegExp(`^(?:${librariesOfFew.join("|")})$`) }, ({ path, kind }) =>
      kind === "entry-point" ? undefined : { path: `./${path}.cjs`, external: true },
    ),
};

const common: BuildOptions = {
  bundle: true,
  platform: "node",
  format: "cjs",
  target: "node24",
  outdir: target,
  outExtension: { ".js": ".cjs" },
  // Not minified, so that a stack trace in a bug report can be read.
  minify: false,
  logLevel: "warning",
  legalComments: "external",
};

await build({
  ...common,
  entryPoints: { "vnf-ipsec": `${root}/src/main.ts` },
  plugins: [compiledTemplates, commanderWithoutPrograms, cryptographyWhenUsed, separateLibraries],
});
await build({ ...common, entryPoints: [...librariesOfFew] });

// Without it Node would take the launcher, which has no extension, for a module as package.json says.
writeFileSync(`${target}/package.json`, '{ "type": "commonjs" }\n');
writeFileSync(
  `${target}/vnf-ipsec`,
  `#!/usr/bin/env node
"use strict";
const { join } = require("node:path");
require("node:module").enableCompileCache({ directory: join(__dirname, "cache"), portable: true });
require("./vnf-ipsec.cjs");
`,
);
chmodSync(`${target}/vnf-ipsec`, 0o755);

// The first start fills the cache with what it runs, later ones do not add to it: take the one that runs most.
// V8 keeps the hashes of strings there, so only the same seed gives the same bytes; whoever reads it may have another.
const environment = {
  PATH: process.env["PATH"] ?? "",
  IPSEC_LOCALIP: "192.0.2.1",
  IPSEC_REMOTEIP: "192.0.2.2",
  IPSEC_LOCALNET: "10.1.0.0/16",
  IPSEC_REMOTENET: "10.2.0.0/16",
  IPSEC_PSK: "only-to-fill-the-cache-of-compiled-code",
};
const loadLibraries = [
  `require("node:module").enableCompileCache({ directory: ${JSON.stringify(`${target}/cache`)}, portable: true });`,
  ...librariesOfFew.map((name) => `require(${JSON.stringify(`${target}/${name}.cjs`)});`),
].join("\n");
for (const words of [
  [`${target}/vnf-ipsec`, "render"],
  ["-e", loadLibraries],
]) {
  const { status, stderr } = spawnSync(process.execPath, ["--random-seed=1", ...words], {
    env: environment,
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`node ${words.join(" ")} ended with ${status}: ${stderr}`);
}
