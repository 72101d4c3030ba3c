import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseDuration, renderDuration } from "../../../src/ipsec/duration.ts";

const range = { minimumSeconds: 0, maximumSeconds: 86_400 };
const seconds = (text: string) => {
  const result = parseDuration(text, range);
  return result.ok ? result.value : undefined;
};

test("durations are numbers of seconds, minutes, hours or days, with a fraction where it comes out even", () => {
  for (const [text, expected] of [
    ["90", 90],
    ["90s", 90],
    ["45m", 2700],
    ["1.5h", 5400],
    ["1d", 86_400],
    ["0.5m", 30],
    ["0", 0],
    ["007", 7],
    ["0.25h", 900],
  ] as const) {
    assert.equal(seconds(text), expected, text);
  }
});

test("what is no duration, no whole second or out of range is refused with a hint", () => {
  for (const text of [
    "",
    "s",
    "1.5",
    "1.5s",
    "0.001h",
    "1w",
    "1H",
    "1 h",
    "+1",
    "-1",
    "1e3",
    "1h30m",
    ".5h",
    "1.h",
    "2d",
    "86401",
    "9".repeat(400),
  ]) {
    const result = parseDuration(text, range);
    assert.equal(result.ok, false, text);
    assert.ok(!result.ok && result.problem.hint, text);
  }
});

test("a rendered duration is read as itself", () => {
  fc.assert(fc.property(fc.nat(86_400), (amount) => assert.equal(seconds(renderDuration(amount)), amount)));
  assert.equal(renderDuration(3600), "1h");
  assert.equal(renderDuration(150), "150s");
});
