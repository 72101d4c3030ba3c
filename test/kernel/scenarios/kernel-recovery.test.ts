// limit: 300 seconds
import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { createLab, type Lab } from "../../support/lab.ts";
import { stop, tunnelEnvironment, tunnelPsk } from "../../support/our-gateway.ts";
import type { LogRecord, SiteProcess } from "../../support/site-process.ts";
import { charonOf, processesIn } from "../../support/traces.ts";
import { isPatientlyReady, patience } from "./patience.ts";

process.env.VNF_IPSEC_COMMAND = "node dist/vnf-ipsec";

test("after charon was killed traffic comes again, and the stop leaves nothing but what others made", async () => {
  await using lab = await createLab();
  await prepare(lab);
  const before = await lab.moon.snapshot();
  const gateway = await startGateway(lab);
  const from = gateway.records().length;
  process.kill(charonOf(gateway), "SIGKILL");
  await gateway.waitForRecord(({ event }) => event === "charon-died", { from, ...patience });
  await passesTraffic(lab, gateway, from);
  assert.equal(await stop(gateway), 0);
  assert.deepEqual(await lab.moon.snapshot(), before);
});

test("a charon that hangs is killed when the stop is asked for, and its SAs, policies, routes and rule go", async () => {
  await using lab = await createLab();
  await prepare(lab);
  const before = await lab.moon.snapshot();
  const gateway = await startGateway(lab);
  process.kill(charonOf(gateway), "SIGSTOP");
  const began = performance.now();
  assert.equal(await stop(gateway), 0);
  const took = performance.now() - began;
  assert.ok(took <= capMilliseconds, `${Math.round(took)} ms`);
  assert.ok(gateway.records().some(({ event }) => event === "charon-killed"));
  assert.deepEqual(await lab.moon.snapshot(), before);
});

test("a killed gateway is taken over by the next one, with its charon or after the death of that, too", async () => {
  await using lab = await createLab();
  await prepare(lab);
  const before = await lab.moon.snapshot();
  const first = await startGateway(lab);
  await first.kill();
  const second = await startGateway(lab);
  assert.deepEqual(processesIn(lab.moon, "charon"), [charonOf(second)]);
  const daemons = ["starter", "charon"].flatMap((program) => processesIn(lab.moon, program));
  await second.kill();
  for (const pid of daemons) process.kill(pid, "SIGKILL");
  const third = await startGateway(lab);
  assert.equal(await stop(third), 0);
  assert.deepEqual(await lab.moon.snapshot(), before);
});

/** Five seconds are the promise; each program that is run on the way takes a fraction of a second more to start here. */
const capMilliseconds = 10_000;

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

const startGateway = async (lab: Lab): Promise<SiteProcess> => {
  const gateway = lab.moon.gateway(
    tunnelEnvironment(lab.moon, lab.sun, { IPSEC_DATAPLANE: "kernel", IPSEC_START: "start" }),
  );
  await passesTraffic(lab, gateway);
  return gateway;
};

/** Without its tunnel a ping would be answered, too, in clear. */
const passesTraffic = async ({ moon, sun }: Lab, gateway: SiteProcess, from = 0): Promise<void> => {
  await isPatientlyReady(gateway, from);
  await gateway.waitForRecord(saysTunnel, { from, ...patience });
  const pings = moon.continuousPing(sun.host, { intervalSeconds: 0.2 });
  await pings.waitForAnswer(patience);
  await pings.stop();
};

const saysTunnel = ({ message }: LogRecord): boolean =>
  /^CHILD_SA \S+ established with SPIs/.test(`${message}`);
