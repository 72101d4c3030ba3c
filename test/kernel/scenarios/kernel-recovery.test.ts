// with either backend
// limit: 500 seconds
// full limit: 14400 seconds
import assert from "node:assert/strict";
import process from "node:process";
import { suite, test } from "node:test";
import { createLab, type Lab } from "../../support/lab.ts";
import { reload, stop, tunnelEnvironment, tunnelPsk } from "../../support/our-gateway.ts";
import { attempts } from "../../support/scale.ts";
import type { LogRecord, SiteProcess } from "../../support/site-process.ts";
import { charonOf, processesIn, quantile } from "../../support/traces.ts";
import { cap, isPatientlyReady, patience } from "./patience.ts";
import { watchForClearText } from "./watch-for-clear-text.ts";

process.env.VNF_IPSEC_COMMAND = "node dist/vnf-ipsec";

/**
 * How often each fault happens: rounds of so many deaths of charon, of the supervisor alone, and of both. Of several
 * deaths within a minute only the first is followed at once, and ten are too many, so each round has a new gateway.
 */
const rounds = attempts({ usual: 1, full: 5 });
const perRound = attempts({ usual: 1, full: 5 });

suite("whatever dies, traffic comes again, nothing leaves in clear, and the stop leaves only what others made", {
  concurrency: true,
}, () => {
  test("with a trap that waits for packets", () => survive("route"));
  test("with a tunnel that comes up at once and no trap", () => survive("start"));
});

const survive = async (kind: "route" | "start"): Promise<void> => {
  await using lab = await createLab({
    router: true,
    moon: { networks: ["10.1.0.0/24"] },
    sun: { networks: ["10.2.0.0/24", "10.4.0.0/24"] },
  });
  const { moon } = lab;
  await prepare(lab);
  const before = await moon.snapshot();
  const outages: number[] = [];
  const starts: number[] = [];
  const start = async (): Promise<SiteProcess> => {
    const began = performance.now();
    const gateway = await startGateway(lab, kind);
    starts.push(performance.now() - began);
    return gateway;
  };
  for (let round = 0; round < rounds; round += 1) {
    const witness = await watchForClearText(moon, lab.sun.networks);
    const pings = moon.continuousPing(lab.sun.host, { intervalSeconds: 0.2 });
    await witness.seesSome();
    const first = await start();
    const since = afterRecord(first, setsDiscarding);
    assert.deepEqual(await routes(lab), [
      "10.2.0.0/24 via 192.0.2.254 dev eth0 src 192.0.2.1",
      "10.4.0.0/24 via 192.0.2.254 dev eth0 src 192.0.2.1",
    ]);
    for (let death = 0; death < perRound; death += 1) outages.push(await killCharon(lab, first));
    await changeAndReload(lab, first);

    let gateway = first;
    for (let death = 0; death < perRound; death += 1) {
      await gateway.kill();
      gateway = await start();
      assert.deepEqual(processesIn(moon, "charon"), [charonOf(gateway)]);
      const daemons = ["starter", "charon"].flatMap((program) => processesIn(moon, program));
      await gateway.kill();
      for (const pid of daemons) process.kill(pid, "SIGKILL");
      gateway = await start();
    }
    assert.equal((await routes(lab)).length, 2);

    process.kill(charonOf(gateway), "SIGSTOP");
    const began = performance.now();
    assert.equal(await stop(gateway), 0);
    const took = performance.now() - began;
    assert.ok(took <= cap(starts.at(-1) ?? 0), `${Math.round(took)} ms`);
    assert.ok(gateway.records().some(({ event }) => event === "charon-killed"));
    const until = timeOf(gateway.records().find(endsDiscarding));
    assert.deepEqual(await witness.stop(since, until), []);
    await pings.stop();
    assert.deepEqual(await moon.snapshot(), before);
  }
  assert.ok(quantile(outages, 0.99) <= outage(Math.max(...starts)), `p99 of ${outages.map(Math.round)} ms`);
};

/** The two seconds of the promise, and what a gateway took to start; see `cap`. */
const outage = (startMilliseconds: number): number => 2_000 + startMilliseconds;

/** sun has a strongSwan, moon a link, policies and an SA of its own that resemble those of a gateway. */
const prepare = async ({ moon, sun }: Lab): Promise<void> => {
  await sun.peer({ connections: [{ psk: Buffer.from(tunnelPsk) }] });
  const ends = `src ${moon.address} dst ${sun.address} proto esp`;
  const policies = [
    `src 10.8.0.0/24 dst 10.9.0.0/24 dir out tmpl ${ends} reqid 77 mode tunnel`,
    `src 10.1.0.128/25 dst 10.2.0.128/25 dir out tmpl ${ends} mode tunnel`,
  ];
  const state = `${ends} spi 0x77 reqid 77 mode tunnel aead rfc4106(gcm(aes)) 0x${"77".repeat(20)} 128`;
  const commands = [
    "link add foreign0 type veth peer name foreign1",
    ...policies.map((policy) => `xfrm policy add ${policy}`),
    `xfrm state add ${state}`,
    "rule add pref 219 to 10.9.0.0/24 table 100",
  ];
  await moon.run(["ip", "-batch", "-"], { input: `${commands.join("\n")}\n` });
};

/** In its file is what a reload changes. */
const startGateway = async (lab: Lab, start: string): Promise<SiteProcess> => {
  await lab.moon.writeFile("/etc/site.env", "IPSEC_LIFETIME=1h\n");
  const gateway = lab.moon.gateway(
    tunnelEnvironment(lab.moon, lab.sun, {
      ENVFILE: "/etc/site.env",
      IPSEC_DATAPLANE: "kernel",
      IPSEC_START: start,
      SET_ROUTE_DEFAULT_TABLE: "yes",
    }),
  );
  await isPatientlyReady(gateway);
  await passesTraffic(lab, gateway);
  return gateway;
};

/** Resolves with how long it took from the death until a tunnel carried an answer, without the pause between deaths. */
const killCharon = async (lab: Lab, gateway: SiteProcess): Promise<number> => {
  const from = gateway.records().length;
  const began = performance.now();
  process.kill(charonOf(gateway), "SIGKILL");
  const died = await gateway.waitForRecord(({ event }) => event === "charon-died", { from, ...patience });
  await passesTraffic(lab, gateway, from);
  return performance.now() - began - Number(died["pauseMilliseconds"]);
};

/** Another lifetime makes it another connection, whose policies go and come again. */
const changeAndReload = async (lab: Lab, gateway: SiteProcess): Promise<void> => {
  const from = gateway.records().length;
  await lab.moon.writeFile("/etc/site.env", "IPSEC_LIFETIME=2h\n");
  await reload(gateway);
  await passesTraffic(lab, gateway, from);
};

/** An answer alone could have come in clear. */
const passesTraffic = async ({ moon, sun }: Lab, gateway: SiteProcess, from = 0): Promise<void> => {
  await gateway.waitForRecord(saysTunnel, { from, ...patience });
  const pings = moon.continuousPing(sun.host, { intervalSeconds: 0.2 });
  await pings.waitForAnswer(patience);
  await pings.stop();
};

const saysTunnel = ({ message }: LogRecord): boolean =>
  /^CHILD_SA \S+ established with SPIs/.test(`${message}`);

const setsDiscarding = ({ event, command }: LogRecord): boolean =>
  event === "host-changed" && /^ip xfrm policy update .* action block /.test(`${command}`);

const endsDiscarding = ({ event, command }: LogRecord): boolean =>
  event === "host-restored" && /^ip xfrm policy deleteall .* action block /.test(`${command}`);

/** When the last change of this kind was surely made: each is told before it is made, so the next record tells. */
const afterRecord = (gateway: SiteProcess, isOne: (record: LogRecord) => boolean): number =>
  timeOf(gateway.records()[gateway.records().findLastIndex(isOne) + 1]);

const timeOf = (record: LogRecord | undefined): number => Date.parse(`${record?.["time"]}`);

const routes = async ({ moon }: Lab): Promise<readonly string[]> =>
  (await moon.run(["ip", "-4", "route", "show", "table", "main"]))
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line.startsWith("10."));
