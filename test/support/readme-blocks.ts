import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { repository } from "./repository.ts";

export const readme = readFileSync(`${repository}/README.md`, "utf8");

export type Block = { readonly language: string; readonly text: string };

export const blocks: readonly Block[] = [...readme.matchAll(/^```(\w*)\n(.*?)^```$/gms)].map(
  ([, language = "", text = ""]) => ({ language, text }),
);

export const commandBlocks = blocks.filter(({ language }) => language === "sh" || language === "console");

/** The text of the one block of commands that begins so. */
export const block = (beginning: string): string => {
  const found = commandBlocks.filter(({ text }) => text.startsWith(beginning));
  assert.equal(found.length, 1, `README.md has ${found.length} blocks that begin with: ${beginning}`);
  return found[0]?.text ?? "";
};

/** Shared by the tests without a container and with one. */
export const siteBlocks = {
  moon: block("install -d -m 700 /etc/vnf-ipsec"),
  sun: block("cat > sun.env"),
};

/** What test/image/scenarios runs, where there are an image and a kernel that can do everything. */
export const containerBlocks = {
  wish: block("docker run --privileged"),
  build: block("scripts/build-image"),
  look: block("docker run --rm"),
  runMoon: block("docker run --detach --name moon"),
  runSun: block("docker run --detach --name sun"),
  ping: block("ping -c 5 -I 10.1.0.1 10.2.0.1\ndocker"),
  stop: block("docker stop"),
  compose: block("cd deploy/compose"),
  kubernetes: block("openssl rand -base64 32 > deploy/kubernetes/base/psk"),
  freeze: block("docker run --name freeze"),
};
