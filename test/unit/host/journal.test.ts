import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { openJournal } from "../../../src/host/journal.ts";

const directory = mkdtempSync(join(tmpdir(), "vnf-ipsec-journal-"));
after(() => rmSync(directory, { recursive: true, force: true }));

test("whoever opens the journal next knows what is left to take back, and an empty one is no file", () => {
  const path = join(directory, "vnf-ipsec/undo.json");
  const journal = openJournal(path);
  journal.add([["ip", "route", "del", "10.2.0.0/16"]]);
  journal.add([["ip", "link", "del", "vti42"]]);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  const next = openJournal(path);
  assert.deepEqual(next.entries(), [
    ["ip", "route", "del", "10.2.0.0/16"],
    ["ip", "link", "del", "vti42"],
  ]);
  next.drop([["ip", "route", "del", "10.2.0.0/16"]]);
  assert.deepEqual(openJournal(path).entries(), [["ip", "link", "del", "vti42"]]);
  next.drop([["ip", "link", "del", "vti42"]]);
  assert.equal(existsSync(path), false);
});

test("a journal that is broken holds nothing, and is no obstacle", () => {
  const path = join(directory, "broken.json");
  for (const text of ["", "[[", "{}", "null", '"x"', "[1, null, [], [1], {}]", "\u0000"]) {
    writeFileSync(path, text);
    const journal = openJournal(path);
    assert.deepEqual(journal.entries(), [], text);
    journal.add([["true"]]);
    assert.deepEqual(openJournal(path).entries(), [["true"]]);
  }
});

test("what is done a second time is to be taken back once", () => {
  const journal = openJournal(join(directory, "twice.json"));
  journal.add([["ip", "link", "del", "vti42"]]);
  journal.add([["ip", "link", "del", "vti42"]]);
  assert.deepEqual(journal.entries(), [["ip", "link", "del", "vti42"]]);
});
