import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createLedger, type Traffic } from "../../../src/status/ledger.ts";
import { ikeSa, sa } from "./sas.ts";

test("what an SA carried is kept when a renewal replaces it, and added to what its successor carries", () => {
  const ledger = createLedger();
  ledger.up(sa({ uniqueId: "1" }), 0);
  ledger.rekeyed(sa({ uniqueId: "1", bytesIn: 100 }), sa({ uniqueId: "2", bytesIn: 5 }), 60_000);
  assert.equal(ledger.of("site").traffic.bytesIn, 105);
  ledger.seen([ikeSa([sa({ uniqueId: "2", bytesIn: 7 })])], 61_000);
  assert.deepEqual(
    [ledger.of("site").traffic.bytesIn, ledger.of("site").rekeys, ledger.of("site").ups],
    [107, 1, 1],
  );
});

test("a tunnel is down when its last SA goes, and tells how long it was up", () => {
  const ledger = createLedger();
  assert.equal(ledger.up(sa({ uniqueId: "1" }), 1_000), true);
  assert.equal(ledger.up(sa({ uniqueId: "2" }), 2_000), false);
  assert.equal(ledger.down(sa({ uniqueId: "1" }), 3_000), undefined);
  assert.deepEqual(ledger.down(sa({ uniqueId: "2" }), 11_000), { child: "site", upMilliseconds: 10_000 });
  assert.deepEqual([ledger.of("site").isUp, ledger.of("site").since], [false, 11_000]);
});

test("a tunnel whose renewed SA goes is down, though charon said nothing of the end of the SA before", () => {
  const ledger = createLedger();
  ledger.up(sa({ uniqueId: "1" }), 0);
  ledger.rekeyed(sa({ uniqueId: "1" }), sa({ uniqueId: "2" }), 1_000);
  assert.notEqual(ledger.down(sa({ uniqueId: "2" }), 2_000), undefined);
});

test("a listing that was on its way when an SA went does not bring it back", () => {
  const ledger = createLedger();
  ledger.up(sa({ uniqueId: "1" }), 0);
  ledger.down(sa({ uniqueId: "1", bytesOut: 40 }), 1_000);
  assert.deepEqual(ledger.seen([ikeSa([sa({ uniqueId: "1", bytesOut: 40 })])], 1_001), nothing);
  assert.deepEqual([ledger.of("site").traffic.bytesOut, ledger.of("site").isUp], [40, false]);
});

const nothing = { came: [], went: [] };

test("a listing that was on its way when an SA came does not take it down", () => {
  const ledger = createLedger();
  const told = ledger.told();
  ledger.up(sa({ uniqueId: "1" }), 1_000);
  assert.deepEqual(ledger.seen([], 1_001, told), nothing);
  assert.equal(ledger.of("site").isUp, true);
  assert.deepEqual(ledger.down(sa({ uniqueId: "1" }), 3_000), { child: "site", upMilliseconds: 2_000 });
});

test("a tunnel whose SA is missing in a listing has gone, though nobody told of it", () => {
  const ledger = createLedger();
  ledger.up(sa({ uniqueId: "1" }), 1_000);
  const gone = { came: [], went: [{ child: "site", upMilliseconds: 4_000 }] };
  assert.deepEqual(ledger.seen([], 5_000, ledger.told()), gone);
  assert.deepEqual(ledger.seen([], 6_000, ledger.told()), nothing);
});

test("the next charon counts its SAs from one again, and what the dead one's carried is kept", () => {
  const ledger = createLedger();
  ledger.up(sa({ uniqueId: "1", packetsIn: 9 }), 0);
  assert.deepEqual(ledger.daemonEnded(5_000), [{ child: "site", upMilliseconds: 5_000 }]);
  assert.deepEqual(ledger.seen([ikeSa([sa({ uniqueId: "1", packetsIn: 2 })])], 6_000).came.length, 1);
  assert.deepEqual([ledger.of("site").traffic.packetsIn, ledger.of("site").ups], [11, 2]);
});

test("of a CHILD SA that nobody has seen nothing is known", () => {
  assert.deepEqual(createLedger().of("site"), {
    traffic: { bytesIn: 0, bytesOut: 0, packetsIn: 0, packetsOut: 0 },
    rekeys: 0,
    ups: 0,
    isUp: false,
  });
});

test("whatever comes in whatever order, no counter ever falls", () => {
  const reading = fc.record({
    name: fc.constantFrom("site", "other"),
    uniqueId: fc.constantFrom("1", "2", "3"),
    bytesIn: fc.nat(1000),
    packetsOut: fc.nat(1000),
    state: fc.constantFrom("INSTALLED", "REKEYED", "DELETING"),
  });
  const event = fc.oneof(
    fc.tuple(fc.constantFrom("up" as const, "down" as const), reading),
    fc.tuple(fc.constant("rekeyed" as const), reading, reading),
    fc.tuple(fc.constant("seen" as const), fc.array(reading, { maxLength: 4 })),
    fc.tuple(fc.constant("daemonEnded" as const)),
  );
  fc.assert(
    fc.property(fc.array(event, { maxLength: 40 }), (events) => {
      const ledger = createLedger();
      let before = totals(ledger.of("site"));
      for (const [index, one] of events.entries()) {
        if (one[0] === "up" || one[0] === "down") ledger[one[0]](sa(one[1]), index);
        if (one[0] === "rekeyed") ledger.rekeyed(sa(one[1]), sa(one[2]), index);
        if (one[0] === "seen") ledger.seen([ikeSa(one[1].map(sa))], index);
        if (one[0] === "daemonEnded") ledger.daemonEnded(index);
        const now = totals(ledger.of("site"));
        assert.ok(
          now.every((value, position) => value >= (before[position] ?? 0)),
          `${JSON.stringify(one)}: ${before} became ${now}`,
        );
        before = now;
      }
    }),
  );
});

const totals = ({ traffic, rekeys, ups }: { traffic: Traffic; rekeys: number; ups: number }) => [
  ...Object.values(traffic),
  rekeys,
  ups,
];
