import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { exitCodes, Failure, quoted } from "../../src/failure.ts";

test("a refused value appears on one line, printable and at most 80 characters long", () => {
  assert.equal(quoted("a b"), '"a b"');
  assert.equal(quoted('say "x"\n'), '"say \\"x\\"\\n"');
  assert.equal(quoted("\u001b[2J\u009b\u2028\ufeff"), '"\\u001b[2J\\u009b\\u2028\\ufeff"');
  assert.equal(quoted("x".repeat(80)), `"${"x".repeat(80)}"`);
  assert.equal(quoted("x".repeat(81)), `"${"x".repeat(79)}…"`);
  assert.equal(quoted("😀".repeat(81)), `"${"😀".repeat(79)}…"`, "no character is cut in half");
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 300 }), (text) => {
      assert.match(quoted(text), /^"[^\p{Cc}\u2028\u2029]*"$/u);
      if (text.length < 80)
        assert.equal(
          JSON.parse(quoted(text)),
          text.toWellFormed() === text ? text : JSON.parse(JSON.stringify(text)),
        );
    }),
  );
});

test("a failure carries every problem, its warnings and its exit code", () => {
  const failure = new Failure([{ message: "one" }, { message: "two" }], exitCodes.permission, {
    warnings: [{ message: "three" }],
  });
  assert.equal(failure.message, "one; two");
  assert.equal(failure.exitCode, 77);
  assert.deepEqual(failure.warnings, [{ message: "three" }]);
});
