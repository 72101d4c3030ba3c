import assert from "node:assert/strict";
import { test } from "node:test";
import { isLive } from "../../../src/status/build-status.ts";

const hour = 3_600_000;

test("a gateway whose daemon runs or is being stopped is live, however long", () => {
  for (const state of ["running", "stopping"] as const)
    assert.equal(isLive({ state, since: 0, restarts: 0 }, hour), true);
});

test("one whose daemon is being started, or does not answer, is live for a minute", () => {
  for (const state of ["starting", "unresponsive"] as const) {
    assert.equal(isLive({ state, since: hour, restarts: 3 }, hour + 59_999), true);
    assert.equal(isLive({ state, since: hour, restarts: 3 }, hour + 60_000), false);
  }
});
