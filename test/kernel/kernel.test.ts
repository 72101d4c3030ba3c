import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import process from "node:process";
import { after, before, suite, test } from "node:test";
import { conductScenario } from "./guest/conduct.ts";
import { obtainLibreswan } from "./guest/libreswan-package.ts";
import { marks } from "./guest/marks.ts";
import { findScenarios } from "./guest/scenarios.ts";
import { sharedGuests } from "./guest/shared-guests.ts";

// In the guest, where the processor is emulated, the program as it is shipped starts in a fraction of the time.
before(() => execFileSync(process.execPath, ["scripts/build.ts"]));

const guests = sharedGuests("agent", 2);
after(() => guests.powerOff());

suite("on a kernel of its own", { concurrency: true }, () => {
  for (const scenario of findScenarios("kernel"))
    test(scenario.title, { concurrency: true }, async (context) => {
      if (scenario.withLibreswan) await obtainLibreswan();
      await guests.lend(scenario.ownBoot, (guest) => conductScenario(context, guest, scenario));
    });
});

test("there are scenarios, and nothing that they wrote is on the host", () => {
  assert.ok(findScenarios("kernel").length > 0);
  assert.deepEqual(marks.filter(existsSync), []);
});
