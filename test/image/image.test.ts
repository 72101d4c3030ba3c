import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, before, test } from "node:test";
import { conductScenario } from "../kernel/guest/conduct.ts";
import { findScenarios } from "../kernel/guest/scenarios.ts";
import { sharedGuests } from "../kernel/guest/shared-guests.ts";
import { attempts } from "../support/scale.ts";
import { buildImage } from "./support/build-image.ts";

// Once fresh and once more, compared, takes minutes: that is for a full run.
before(() => buildImage(...(attempts({ usual: 1, full: 2 }) === 2 ? ["--verify"] : [])));

const guests = sharedGuests("containers", 1);
after(() => guests.powerOff());

for (const scenario of findScenarios("image"))
  test(scenario.title, { concurrency: true }, (context) =>
    guests.lend(scenario.ownBoot, (guest) => conductScenario(context, guest, scenario)),
  );

test("there are scenarios", () => {
  assert.ok(findScenarios("image").length > 0);
});

test("the program is built to the same bytes each time, its compiled code included", (context) => {
  const folder = mkdtempSync(join(tmpdir(), "vnf-ipsec-build-"));
  context.after(() => rmSync(folder, { recursive: true }));
  // Where it is built is part of the compiled code.
  const target = join(folder, "program");
  const built = (): ReadonlyMap<string, string> => {
    execFileSync(process.execPath, ["scripts/build.ts", target]);
    return contentOf(target);
  };
  const first = built();
  assert.ok([...first.keys()].some((path) => path.startsWith("cache/")));
  assert.deepEqual(built(), first);
});

/** Each file by its path. */
const contentOf = (folder: string): ReadonlyMap<string, string> =>
  new Map(
    readdirSync(folder, { recursive: true, encoding: "utf8" })
      .filter((path) => statSync(join(folder, path)).isFile())
      .sort()
      .map((path) => [path, readFileSync(join(folder, path), "base64")]),
  );
