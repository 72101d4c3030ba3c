import assert from "node:assert/strict";
import process from "node:process";
import { suite, test } from "node:test";
import type { DownReason } from "../../src/status/down-reasons.ts";
import { isShownReady } from "../support/ask-gateway.ts";
import { createLab, type Lab } from "../support/lab.ts";
import { isReady, stop, tunnelEnvironment, tunnelPsk } from "../support/our-gateway.ts";
import type { Peer } from "../support/peer.ts";
import type { Environment, LogRecord, SiteProcess } from "../support/site-process.ts";
import { charonOf } from "../support/traces.ts";
import { waitFor } from "../support/wait-for.ts";

const psk = Buffer.from(tunnelPsk);

type Scene = { readonly lab: Lab; readonly sun: Peer; readonly moon: SiteProcess };

/** One way for a tunnel to go down. */
type End = {
  readonly title: string;
  readonly version?: 1 | 2;
  readonly reason: DownReason | "daemon-ended" | "stopping";
  readonly environment?: Environment;
  /** Further lines of strongswan.conf's charon section, after our own. */
  readonly charonLines?: readonly string[];
  readonly act: (scene: Scene) => Promise<unknown> | unknown;
  /** Whether the tunnel comes back by itself, since the peer is there. */
  readonly comesBack: boolean;
};

const ends: readonly End[] = [
  {
    title: "the peer deletes the IKE SA",
    reason: "peer-deleted",
    act: ({ sun }) => sun.swanctl("--terminate", "--ike", "site"),
    comesBack: true,
  },
  {
    title: "the peer deletes the CHILD SA alone",
    reason: "peer-deleted",
    act: ({ sun }) => sun.swanctl("--terminate", "--child", "site"),
    comesBack: true,
  },
  {
    title: "the peer deletes the IKE SA",
    version: 1,
    reason: "peer-deleted",
    act: ({ sun }) => sun.swanctl("--terminate", "--ike", "site"),
    comesBack: true,
  },
  {
    title: "the peer is cut off",
    reason: "peer-silent",
    environment: { IPSEC_DPD_DELAY: "1s", IPSEC_DPD_TIMEOUT: "2s" },
    charonLines: ["retransmit_tries = 2"],
    act: ({ lab }) => lab.partition(),
    comesBack: false,
  },
  {
    title: "the peer is cut off",
    version: 1,
    reason: "peer-silent",
    environment: { IPSEC_DPD_DELAY: "1s", IPSEC_DPD_TIMEOUT: "2s" },
    charonLines: ["retransmit_tries = 2"],
    act: ({ lab }) => lab.partition(),
    comesBack: false,
  },
  {
    title: "the peer is killed and begins anew",
    reason: "peer-began-anew",
    act: async ({ lab, sun }) => {
      await sun.kill();
      await lab.sun.peer({ connections: [{ psk, startAction: "start" }] });
    },
    comesBack: true,
  },
  {
    title: "the IKE SA is authenticated again, and let go before",
    reason: "reauthentication",
    charonLines: ["make_before_break = no"],
    act: ({ lab }) => lab.moon.run(["swanctl", "--rekey", "--ike", "site", "--reauth"]),
    comesBack: true,
  },
  {
    title: "somebody here closes it",
    reason: "closed-here",
    act: ({ lab }) => lab.moon.run(["swanctl", "--terminate", "--ike", "site"]),
    comesBack: true,
  },
  {
    title: "somebody here closes the CHILD SA alone, which the peer had renewed before",
    reason: "closed-here",
    act: async ({ lab, sun, moon }) => {
      await sun.swanctl("--rekey", "--child", "site");
      await moon.waitForRecord(({ event }) => event === "tunnel-rekeyed");
      await lab.moon.run(["swanctl", "--terminate", "--child", "site"]);
    },
    comesBack: true,
  },
  {
    title: "charon is killed",
    reason: "daemon-ended",
    act: ({ moon }) => process.kill(charonOf(moon), "SIGKILL"),
    comesBack: true,
  },
  {
    title: "the gateway is stopped",
    reason: "stopping",
    act: ({ moon }) => stop(moon),
    comesBack: false,
  },
];

suite("a tunnel that goes down is told once, with the reason and how long it was up", {
  concurrency: 3,
}, () => {
  for (const { title, version = 2, reason, environment = {}, charonLines = [], act, comesBack } of ends) {
    test(`${reason}: ${title}, IKEv${version}`, async () => {
      await using lab = await createLab();
      const sun = await lab.sun.peer({ connections: [{ psk, version }] });
      const settings = await lab.moon.readFile("/etc/strongswan.conf");
      await lab.moon.writeFile(
        "/etc/strongswan.conf",
        `${settings}\ncharon {\n${charonLines.join("\n")}\n}\n`,
      );
      const moon = lab.moon.gateway(
        tunnelEnvironment(lab.moon, lab.sun, {
          IPSEC_START: "start",
          IPSEC_KEYEXCHANGE: `ikev${version}`,
          ...environment,
        }),
      );
      await isReady(moon);
      await isShownReady(lab.moon);
      assert.deepEqual(eventsOf(moon), [up]);
      await act({ lab, sun, moon });
      const down = await moon.waitForRecord(({ event }) => event === "tunnel-down");
      if (comesBack) await isShownReady(lab.moon);
      if (reason !== "stopping") assert.equal(await stop(moon), 0);
      const told = eventsOf(moon);
      assert.deepEqual(told.slice(0, 2), [
        up,
        { event: "tunnel-down", connection: "site", child: "site", reason },
      ]);
      assert.ok(Number.isInteger(down.upSeconds) && Number(down.upSeconds) < 60, `${down.upSeconds}`);
      const again = [up, { event: "tunnel-down", connection: "site", child: "site", reason: "stopping" }];
      assert.deepEqual(told.slice(2), comesBack ? again : []);
    });
  }
});

const up = { event: "tunnel-up", connection: "site", child: "site", reason: undefined };

const eventsOf = (gateway: SiteProcess): readonly LogRecord[] =>
  gateway
    .records()
    .filter(({ event }) => event === "tunnel-up" || event === "tunnel-down")
    .map(({ event, connection, child, reason }) => ({ event, connection, child, reason }));

test("new keys are told as such, of the tunnel and of its IKE SA, and are no end of the tunnel", async () => {
  await using lab = await createLab();
  const sun = await lab.sun.peer({ connections: [{ psk }] });
  const moon = lab.moon.gateway(
    tunnelEnvironment(lab.moon, lab.sun, { IPSEC_START: "start", IPSEC_IKEREAUTH: "no" }),
  );
  await isReady(moon);
  await isShownReady(lab.moon);
  for (const begin of [
    (kind: string) => lab.moon.run(["swanctl", "--rekey", kind, "site"]),
    (kind: string) => sun.swanctl("--rekey", kind, "site"),
  ]) {
    for (const [kind, event] of [
      ["--child", "tunnel-rekeyed"],
      ["--ike", "ike-rekeyed"],
    ] as const) {
      const from = moon.records().length;
      await begin(kind);
      const record = await moon.waitForRecord((told) => told.event === event, { from });
      assert.equal(record.connection, "site");
      if (event === "tunnel-rekeyed") {
        const child = (await sun.sas())[0]?.children.find((one) => one["spi-out"] === record.spiIn);
        assert.deepEqual([record.child, record.spiOut], ["site", child?.["spi-in"]]);
      }
    }
  }
  assert.deepEqual(eventsOf(moon), [up]);
  assert.equal(await stop(moon), 0);
});

test("an IKE SA that is authenticated again is no end of the tunnel", async () => {
  await using lab = await createLab();
  const sun = await lab.sun.peer({ connections: [{ psk }] });
  const moon = lab.moon.gateway(tunnelEnvironment(lab.moon, lab.sun, { IPSEC_START: "start" }));
  await isReady(moon);
  await isShownReady(lab.moon);
  await lab.moon.run(["swanctl", "--rekey", "--ike", "site", "--reauth"]);
  await waitFor("the next IKE SA alone", async () => {
    const sas = await sun.sas();
    return sas.length === 1 && sas[0]?.fields.uniqueid !== "1" ? true : undefined;
  });
  assert.deepEqual(eventsOf(moon), [up]);
  assert.equal(await stop(moon), 0);
});

test("each tunnel of an IKEv1 connection with several networks is told by itself, under the connection's name", async () => {
  await using lab = await createLab({ moon: { networks: ["10.1.0.0/24", "10.1.8.0/22"] } });
  const sun = await lab.sun.peer({ connections: [{ psk, version: 1 }] });
  const moon = lab.moon.gateway(
    tunnelEnvironment(lab.moon, lab.sun, { IPSEC_START: "start", IPSEC_KEYEXCHANGE: "ikev1" }),
  );
  await isReady(moon);
  await isShownReady(lab.moon);
  process.kill(charonOf(moon), "SIGKILL");
  await moon.waitForRecord(({ event }) => event === "tunnel-down");
  await isShownReady(lab.moon);
  await sun.swanctl("--rekey", "--child", "site-2");
  const rekeyed = await moon.waitForRecord(({ event }) => event === "tunnel-rekeyed");
  assert.equal(await stop(moon), 0);
  assert.equal(rekeyed.connection, "site");
  const told = eventsOf(moon).map(({ event, connection, reason }) =>
    `${event} ${connection} ${reason ?? ""}`.trim(),
  );
  assert.deepEqual(told, [
    ...["tunnel-up site", "tunnel-up site"],
    ...["tunnel-down site daemon-ended", "tunnel-down site daemon-ended"],
    ...["tunnel-up site", "tunnel-up site"],
    ...["tunnel-down site stopping", "tunnel-down site stopping"],
  ]);
  assert.equal(new Set(eventsOf(moon).map(({ child }) => child)).size, 2);
});
