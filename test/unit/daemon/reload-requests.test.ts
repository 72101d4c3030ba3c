import assert from "node:assert/strict";
import { test } from "node:test";
import { createControl } from "../../../src/daemon/control.ts";
import { reloadRequests } from "../../../src/daemon/reload-requests.ts";

const isAsked = async (asked: Promise<unknown>): Promise<boolean> =>
  (await Promise.race([asked, Promise.resolve("not yet")])) !== "not yet";

const serving = () => {
  const control = createControl();
  return { control, reloads: reloadRequests(control, "stopped") };
};

test("all who ask before a reload begins get its report, whoever asks after that gets the next one's", async () => {
  const { reloads } = serving();
  const early = [reloads.ask(), reloads.ask()];
  const reload = Promise.withResolvers<{ report: string }>();
  const served = reloads.serve(() => reload.promise);
  await new Promise(setImmediate);
  const late = reloads.ask();
  reload.resolve({ report: "first" });
  await served;
  assert.deepEqual(await Promise.all(early), ["first", "first"]);
  await reloads.serve(async () => ({ report: "second" }));
  assert.equal(await late, "second");
});

test("a request is not lost, when nobody waits for one, and when who waited has gone", async () => {
  const { control, reloads } = serving();
  // The life of charon in which this was waited for is over.
  void reloads.asked();
  control.requestReload();
  assert.ok(await isAsked(reloads.asked()));
  let asked: Promise<unknown> | undefined;
  await reloads.serve(async () => {
    asked = reloads.asked();
    assert.ok(!(await isAsked(asked)));
    control.requestReload();
    return { report: "done" };
  });
  assert.ok(await isAsked(reloads.asked()));
});

test("a stop answers everybody, those who ask after it too", async () => {
  const { control, reloads } = serving();
  const waiting = reloads.ask();
  control.requestStop("SIGTERM");
  assert.deepEqual([await waiting, await reloads.ask()], ["stopped", "stopped"]);
});

test("what is done in turn has no reload beside it, and neither keeps the next from its turn by failing", async () => {
  const { reloads } = serving();
  const steps: string[] = [];
  const act = (name: string) => async () => {
    steps.push(`${name} begins`);
    await new Promise(setImmediate);
    steps.push(`${name} ends`);
    return { report: name };
  };
  const failing = reloads.inTurn(async () => {
    throw new Error("a fault");
  });
  await Promise.all([
    assert.rejects(failing, /a fault/),
    reloads.inTurn(act("plan")),
    reloads.serve(act("reload")),
  ]);
  assert.deepEqual(steps, ["plan begins", "plan ends", "reload begins", "reload ends"]);
});
