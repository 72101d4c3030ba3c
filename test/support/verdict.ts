import assert from "node:assert/strict";
import { isShownReady, readinessOf, statusOf } from "./ask-gateway.ts";
import type { Namespace } from "./namespace.ts";
import { diagnoses } from "./our-gateway.ts";
import type { LogRecord, SiteProcess } from "./site-process.ts";
import { waitFor } from "./wait-for.ts";

/** What a gateway finds out: a cause, and the variables to look at. */
export type Verdict = {
  readonly cause: string;
  readonly variables: readonly string[];
  /** Concerns the whole daemon, and no connection. */
  readonly ofDaemon?: true;
};

/** Nothing but this was told in the log so far, and once. */
export const assertToldOnce = (gateway: SiteProcess, { cause, variables }: Verdict): void =>
  assert.deepEqual(diagnoses(gateway).map(verdictOf), [{ cause, variables }]);

/** Waits until it is told in the log, and finds it there, in `status --json` and in `/readyz`, and nothing else. */
export const assertDiagnosed = async (
  site: Namespace,
  gateway: SiteProcess,
  verdict: Verdict,
): Promise<void> => {
  await gateway.waitForRecord(({ event }) => event === "diagnosis");
  assertToldOnce(gateway, verdict);
  await assertShown(site, verdict);
};

/** `status --json` and `/readyz` tell that it keeps the connection `site` from being ready, and tell nothing else. */
export const assertShown = async (
  site: Namespace,
  { cause, variables, ofDaemon }: Verdict,
): Promise<void> => {
  const connection = ofDaemon ? {} : { connection: "site" };
  const { live, ready, reasons, failures, failureCounts } = await statusOf(site);
  assert.deepEqual(failures.map(verdictOf), [{ cause, variables }]);
  assert.equal(failures[0]?.connection, connection.connection);
  assert.deepEqual(failureCounts, [{ cause, ...connection, count: 1 }]);
  assert.deepEqual({ live, ready }, { live: true, ready: false });
  assert.equal(reasons.length, 1);

  const readiness = await readinessOf(site);
  assert.equal(readiness.status, 503);
  assert.deepEqual(readiness.failures, failures);
  assert.equal(readiness.reasons.length, 1);
  for (const [reason = ""] of [reasons, readiness.reasons]) {
    assert.ok(reason.includes(`: ${cause}: `), reason);
    assert.ok(variables.length === 0 || reason.endsWith(` (${variables.join(", ")})`), reason);
  }
};

/** Waits until no failure lasts, and finds it ready. */
export const assertMended = async (site: Namespace): Promise<void> => {
  await isShownReady(site);
  // charon's line may come a moment after what it tells of.
  await waitFor("the failure to be over", async () =>
    (await readinessOf(site)).failures.length === 0 ? true : undefined,
  );
  const { status, reasons } = await readinessOf(site);
  assert.deepEqual({ status, reasons }, { status: 200, reasons: [] });
};

const verdictOf = ({ cause, variables }: LogRecord): unknown => ({ cause, variables });
