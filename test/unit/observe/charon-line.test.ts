import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import { parseCharonLine } from "../../../src/observe/charon-line.ts";

const lines = new URL("lines/", import.meta.url);

test("a line of charon falls into thread, group, level, connection, IKE SA and message", () => {
  assert.deepEqual(parseCharonLine("12[IKE1] <site|7> received DELETE for IKE_SA site[7]"), {
    kind: "charon",
    thread: 12,
    group: "IKE",
    level: 1,
    connection: "site",
    saId: 7,
    message: "received DELETE for IKE_SA site[7]",
  });
});

test("an IKE SA without a connection yet has an id only", () => {
  assert.deepEqual(parseCharonLine("06[CFG1] <3> no matching peer config found"), {
    kind: "charon",
    thread: 6,
    group: "CFG",
    level: 1,
    saId: 3,
    message: "no matching peer config found",
  });
});

test("a line outside any IKE SA has neither", () => {
  assert.deepEqual(parseCharonLine("00[DMN1] SIGINT received, shutting down"), {
    kind: "charon",
    thread: 0,
    group: "DMN",
    level: 1,
    message: "SIGINT received, shutting down",
  });
});

test("a line from before the loggers has no level and counts as level 1", () => {
  const line = parseCharonLine("00[LIB] abort initialization due to invalid configuration");
  assert.equal(line.kind === "charon" && line.level, 1);
});

test("the lines of a hex dump each carry the prefix and keep their blanks", () => {
  assert.deepEqual(parseCharonLine("08[IKE3] <site|1>   16: 5A 0F FC DD 00 00        Z....."), {
    kind: "charon",
    thread: 8,
    group: "IKE",
    level: 3,
    connection: "site",
    saId: 1,
    message: "  16: 5A 0F FC DD 00 00        Z.....",
  });
});

test("an empty line of a message of several lines stays a line of charon", () => {
  assert.deepEqual(parseCharonLine("00[LIB1] "), {
    kind: "charon",
    thread: 0,
    group: "LIB",
    level: 1,
    message: "",
  });
});

test("thread numbers above 99 and connections named with | and > are read", () => {
  const line = parseCharonLine("117[ENC0] <a|b>c|42> x");
  assert.deepEqual(line.kind === "charon" && [line.thread, line.connection, line.saId, line.message], [
    117,
    "a|b>c",
    42,
    "x",
  ]);
});

test("starter's lines and everything else are starter's", () => {
  for (const text of [
    "Starting strongSwan 5.9.8 IPsec [starter]...",
    "charon (8339) started after 20 ms",
    "# bad duration value: lifetime=1.5h",
    "'site' routed",
    "07[XYZ1] no group of charon",
    "",
  ])
    assert.deepEqual(parseCharonLine(text), { kind: "starter", message: text });
});

test("a line of charon is found behind words of starter that lack their line feed, and behind a time", () => {
  for (const before of [
    "charon (8339) started after 20 ms",
    "Nov 23 12:00:01 ",
    "2026-11-23T12:00:01.123 ",
  ]) {
    const line = parseCharonLine(`${before}11[CFG1] received stroke: add connection 'site'`);
    assert.equal(line.kind, "charon", before);
    assert.equal(line.message, "received stroke: add connection 'site'");
  }
});

test("each recorded line of charon keeps its message to the letter", () => {
  let count = 0;
  for (const file of readdirSync(lines).filter((name) => name.endsWith(".log")))
    for (const text of readFileSync(new URL(file, lines), "utf8").split("\n")) {
      const line = parseCharonLine(text);
      assert.equal(line.kind === "charon", /^\d\d\[/.test(text), `${file}: ${text}`);
      assert.ok(text.endsWith(line.message));
      if (line.kind === "charon") count += 1;
    }
  assert.ok(count > 1000);
});

test("what charon writes by its format is read back, and no text makes the parser fail", () => {
  const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,30}$/);
  const line = fc.record({
    thread: fc.nat(999),
    group: fc.constantFrom("IKE", "NET", "KNL"),
    level: fc.nat(4),
    connection: fc.option(name, { nil: undefined }),
    saId: fc.nat(),
    message: fc.string(),
  });
  fc.assert(
    fc.property(line, ({ thread, group, level, connection, saId, message }) => {
      const names = connection === undefined ? `${saId}` : `${connection}|${saId}`;
      const text = `${String(thread).padStart(2, "0")}[${group}${level}] <${names}> ${message}`;
      assert.deepEqual(parseCharonLine(text), {
        kind: "charon",
        thread,
        group,
        level,
        ...(connection === undefined ? {} : { connection }),
        saId,
        message,
      });
    }),
  );
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => text.endsWith(parseCharonLine(text).message)),
  );
});
