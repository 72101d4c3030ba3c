import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { judgeSweep } from "../../../src/doctor/check-mtu.ts";
import { type ProbeAnswer, sweepMtu } from "../../../src/doctor/sweep-mtu.ts";

const never = () => false;

/** A path of so many bytes whose routers tell, or only drop. */
const path =
  (mtu: number, tells: "size" | "refusal" | "nothing", sizes: number[] = []) =>
  async (size: number): Promise<ProbeAnswer> => {
    sizes.push(size);
    if (size <= mtu) return { kind: "answered" };
    if (tells === "size") return { kind: "refused", mtu };
    return tells === "refusal" ? { kind: "refused" } : { kind: "lost" };
  };

test("the largest packet of any path is found, in few probes", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 576, max: 9000 }),
      fc.integer({ min: 576, max: 9000 }),
      fc.constantFrom("size" as const, "refusal" as const, "nothing" as const),
      async (mtu, highest, tells) => {
        const sweep = await sweepMtu(path(mtu, tells), { lowest: 576, highest, isLate: never });
        assert.equal(sweep.largest, Math.min(mtu, highest));
        assert.equal(sweep.beyond, mtu >= highest ? undefined : tells === "nothing" ? "lost" : "refused");
        assert.ok(sweep.complete);
        assert.ok(sweep.probes <= 16, `${sweep.probes} probes`);
      },
    ),
  );
});

test("a size that is told is tried next", async () => {
  const sizes: number[] = [];
  await sweepMtu(path(1400, "size", sizes), { lowest: 576, highest: 1500, isLate: never });
  assert.deepEqual(sizes.slice(0, 3), [576, 1500, 1400]);
});

test("nothing is tried on where not even a small packet is answered", async () => {
  const sweep = await sweepMtu(path(0, "nothing"), { lowest: 576, highest: 1500, isLate: never });
  assert.deepEqual(sweep, { probes: 1, complete: true });
});

test("a sweep whose time is over tells what it knows", async () => {
  let asked = 0;
  const sweep = await sweepMtu(path(1000, "nothing"), {
    lowest: 576,
    highest: 1500,
    isLate: () => {
      asked += 1;
      return asked > 2;
    },
  });
  assert.deepEqual(sweep, { largest: 576, beyond: "lost", probes: 3, complete: false });
});

const request = { family: "ipv4", target: "10.2.0.1", highest: 1500 } as const;
const swept = { probes: 9, complete: true } as const;

test("a virtual interface whose MTU is too large is told with the IPSEC_MTU to set", () => {
  const { verdict, message, hint } = judgeSweep(
    { largest: 1338, beyond: "refused", ...swept },
    { ...request, virtual: { name: "vti42", mtu: 1438 } },
  );
  assert.equal(verdict, "warning");
  assert.match(message, /has 1338 bytes, but vti42 has an MTU of 1438$/);
  assert.match(hint ?? "", /^set IPSEC_MTU=1338; /);
});

test("packets that vanish are told, and those whose sender is told are well", () => {
  const black = judgeSweep({ largest: 1338, beyond: "lost", ...swept }, request);
  assert.equal(black.verdict, "warning");
  assert.match(black.hint ?? "", /^set IPSEC_MSS=1298 /);
  assert.equal(judgeSweep({ largest: 1438, beyond: "refused", ...swept }, request).verdict, "ok");
  assert.equal(judgeSweep({ largest: 1500, ...swept }, request).verdict, "ok");
});

test("where packets vanish, a clamp that is small enough is well, and a larger one is not", () => {
  const judged = (segment: number) =>
    judgeSweep({ largest: 1338, beyond: "lost", ...swept }, { ...request, segment });
  assert.equal(judged(1298).verdict, "ok");
  assert.match(
    judged(1298).message,
    /vanish without a word, but the segments of TCP, which have 1298 at most$/,
  );
  assert.equal(judged(1299).verdict, "warning");
  const ipv6 = { ...request, family: "ipv6", segment: 1340 } as const;
  const { hint } = judgeSweep({ largest: 1338, beyond: "lost", ...swept }, ipv6);
  assert.match(hint ?? "", /^set IPSEC_MSS=1298 /);
});

test("the MSS leaves room for the larger header of IPv6", () => {
  const { details } = judgeSweep(
    { largest: 1400, ...swept },
    { ...request, family: "ipv6", target: "2001:db8:2::1" },
  );
  assert.equal(details?.["mss"], 1340);
});

test("a target that answers nothing is a warning, not a measurement", () => {
  assert.equal(judgeSweep(swept, request).verdict, "warning");
});
