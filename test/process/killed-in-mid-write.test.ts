import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { writeFiles } from "../../src/host/write-files.ts";
import { repository } from "../support/repository.ts";
import { attempts } from "../support/scale.ts";
import { writtenTexts } from "../support/written-texts.ts";

/** Promise 5. */
test("a file whose writer is killed at any moment is the old or the new one, whole", async () => {
  const root = mkdtempSync(join(tmpdir(), "vnf-ipsec-written-"));
  const file = {
    path: "/etc/written.conf",
    mode: 0o600,
    text: writtenTexts[0] as string,
    ownedByDaemon: false,
  };
  try {
    writeFiles([file], { root });
    for (let kill = 0; kill < attempts({ usual: 40, full: 1_000 }); kill++) {
      const writer = spawn(process.execPath, [join(repository, "test/support/endless-writer.ts"), root], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      await once(writer.stdout, "data");
      // Spread over some rounds of the writer, which takes a few milliseconds for each.
      await sleep(Math.random() * 30);
      writer.kill("SIGKILL");
      await once(writer, "exit");
      const seen = readFileSync(join(root, file.path), "utf8");
      assert.ok(writtenTexts.includes(seen), `${seen.length} characters are neither text after kill ${kill}`);
    }
    // The next writer clears away what the killed ones left.
    writeFiles([file], { root });
    assert.deepEqual(readdirSync(join(root, "etc")), ["written.conf"]);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});
