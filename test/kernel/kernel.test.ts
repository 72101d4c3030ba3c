import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { after, test } from "node:test";
import { conductScenario } from "./guest/conduct.ts";
import { marks } from "./guest/marks.ts";
import { findScenarios } from "./guest/scenarios.ts";
import { sharedGuest } from "./guest/shared-guest.ts";

const guests = sharedGuest();
after(() => guests.powerOff());

for (const scenario of findScenarios())
  test(scenario.title, { concurrency: true }, (context) =>
    guests.lend(scenario.ownBoot, (guest) => conductScenario(context, guest, scenario)),
  );

test("there are scenarios, and nothing that they wrote is on the host", () => {
  assert.ok(findScenarios().length > 0);
  assert.deepEqual(marks.filter(existsSync), []);
});
