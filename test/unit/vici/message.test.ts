import assert from "node:assert/strict";
import { test } from "node:test";
import { listOf, type Message, sectionOf, sectionsOf, textOf } from "../../../src/vici/message.ts";

const message: Message = {
  state: "ESTABLISHED",
  "local-ts": ["10.1.0.0/24"],
  net: { mode: "TUNNEL" },
  other: {},
};

test("a value, a list and a section are found by name", () => {
  assert.equal(textOf(message, "state"), "ESTABLISHED");
  assert.deepEqual(listOf(message, "local-ts"), ["10.1.0.0/24"]);
  assert.deepEqual(sectionOf(message, "net"), { mode: "TUNNEL" });
});

test("what is absent or of another kind is no value, no items and no section", () => {
  for (const name of ["absent", "local-ts", "net"]) assert.equal(textOf(message, name), undefined);
  for (const name of ["absent", "state", "net"]) assert.deepEqual(listOf(message, name), []);
  for (const name of ["absent", "state", "local-ts"]) assert.equal(sectionOf(message, name), undefined);
});

test("sections are listed with their names, without values and lists", () => {
  assert.deepEqual(sectionsOf(message), [
    ["net", { mode: "TUNNEL" }],
    ["other", {}],
  ]);
  assert.deepEqual(sectionsOf(undefined), []);
});
