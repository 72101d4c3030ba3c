import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { parseCharonLine } from "../../../src/observe/charon-line.ts";
import { createDownReasons } from "../../../src/status/down-reasons.ts";

/** What one takes from lines without their prefix, all of IKE SA 1. */
const after = (...messages: readonly string[]) => {
  const reasons = createDownReasons();
  for (const message of messages) reasons.note(parseCharonLine(`05[IKE1] <site|1> ${message}`));
  return reasons;
};

const child = { spiIn: "79bc9867", spiOut: "31173567" };

test("who sends the first DELETE for a CHILD SA ends it, since the other answers with one", () => {
  const received = "received DELETE for ESP CHILD_SA with SPI 31173567";
  const sent = "sending DELETE for ESP CHILD_SA with SPI 79bc9867";
  assert.equal(after(received, sent).of(1, child), "peer-deleted");
  assert.equal(after(sent, received).of(1, child), "closed-here");
  assert.equal(after(received).of(1, child), "peer-deleted");
});

test("a CHILD SA that the peer deleted because it had renewed it says nothing of the next one's end", () => {
  const lines = readFileSync(new URL("../observe/lines/rekey-v2.moon.log", import.meta.url), "utf8");
  const reasons = createDownReasons();
  for (const line of lines.split("\n")) reasons.note(parseCharonLine(line));
  assert.equal(reasons.of(1, { spiIn: "1b4be2d3", spiOut: "00be6d2d" }), "peer-deleted");
  assert.equal(reasons.of(1, { spiIn: "dd914887", spiOut: "903f9399" }), "closed-here");
});

for (const [message, reason] of [
  ["received DELETE for IKE_SA site[1]", "peer-deleted"],
  ["giving up after 26 retransmits", "peer-silent"],
  ["DPD check timed out, enforcing DPD action", "peer-silent"],
  ["destroying duplicate IKE_SA for peer '192.0.2.2', received INITIAL_CONTACT", "peer-began-anew"],
  ["reauthenticating IKE_SA site[1]", "reauthentication"],
  [
    "initiator did not reauthenticate as requested, IKE_SA site[1] will timeout in 10 minutes",
    "reauthentication",
  ],
] as const) {
  test(`${reason}: ${message}`, () => {
    const reasons = after(message);
    assert.equal(reasons.of(1, child), reason);
    assert.equal(reasons.of(2, child), "closed-here");
  });
}

test("what charon says at its debug levels, of no IKE SA, or as part of other words is no reason", () => {
  const reasons = createDownReasons();
  for (const line of [
    "05[IKE2] <site|1> received DELETE for IKE_SA site[1]",
    "05[IKE1] received DELETE for IKE_SA site[1]",
    "05[IKE1] <site|1> peer says: giving up after 5 retransmits",
    "received DELETE for IKE_SA site[1]",
  ])
    reasons.note(parseCharonLine(line));
  assert.equal(reasons.of(1, child), "closed-here");
});

test("of a flood of IKE SAs and CHILD SAs the latest thousand are remembered", () => {
  const reasons = createDownReasons();
  for (let saId = 1; saId <= 5_000; saId += 1) {
    const spi = saId.toString(16).padStart(8, "0");
    reasons.note(parseCharonLine(`05[IKE1] <site|${saId}> giving up after 5 retransmits`));
    reasons.note(parseCharonLine(`05[IKE1] <site|1> received DELETE for ESP CHILD_SA with SPI ${spi}`));
  }
  assert.equal(reasons.of(1, child), "closed-here");
  assert.equal(reasons.of(4_500, child), "peer-silent");
  assert.equal(reasons.of(1, { spiIn: "0", spiOut: "00000001" }), "closed-here");
  assert.equal(reasons.of(1, { spiIn: "0", spiOut: "00001388" }), "peer-deleted");
});
