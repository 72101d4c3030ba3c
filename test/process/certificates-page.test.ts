import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { parse } from "dotenv";
import { runCommand, runToEnd, searchPath } from "../support/command.ts";
import { repository } from "../support/repository.ts";

const page = readFileSync(`${repository}/docs/certificates.md`, "utf8");

test("the commands of the page make certificates that its environment is valid with", async () => {
  const directory = mkdtempSync(join(tmpdir(), "vnf-ipsec-certificates-"));
  try {
    const commands = [...page.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, text]) => text);
    assert.equal(commands.length, 3);
    const script = `set -eu; cd ${directory}\n${commands.join("")}`;
    const { exitCode, stderr } = await runToEnd(["sh", "-c", script], { PATH: searchPath });
    assert.equal(exitCode, 0, stderr);
    const [, indented = ""] = /\n\n((?: {4}\w.*\n)+)/.exec(page) ?? [];
    const environment = parse(indented.replaceAll("/etc/vnf-ipsec", directory));
    assert.equal(environment["IPSEC_AUTH"], "pubkey");
    assert.deepEqual(await runCommand(["check"], environment), {
      exitCode: 0,
      stdout: "the environment is valid\n",
      stderr: "",
    });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
