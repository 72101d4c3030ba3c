import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { PacketRule } from "../../src/gateway/packet-rule.ts";
import { renderPacketTable } from "../../src/host/packet-table.ts";
import { type Network, parseNetwork } from "../../src/ipsec/network.ts";
import { linesOf } from "../support/environment-file.ts";
import { createLab, type Lab } from "../support/lab.ts";
import { hasTunnels, isReady, reload, stop, tunnelEnvironment, tunnelPsk } from "../support/our-gateway.ts";
import { attempts } from "../support/scale.ts";
import type { Site } from "../support/site.ts";

const psk = Buffer.from(tunnelPsk);
const envFile = "/etc/vnf-ipsec.env";

test("nft takes the table of any rules, in the place of any other", async () => {
  await using lab = await createLab();
  await fc.assert(
    fc.asyncProperty(fc.array(anyRule, { maxLength: 6 }), async (rules) => {
      const table = renderPacketTable("kernel", rules);
      if (table !== undefined) await lab.moon.run(["nft", "-f", "-"], { input: table });
    }),
    { numRuns: attempts({ usual: 50, full: 2_000 }) },
  );
});

test("TCP hears of the size that fits, after a reload of another, also if others have flushed it; after the stop nothing is left", async () => {
  await using lab = await createLab();
  const { moon, sun } = lab;
  await sun.peer({ connections: [{ psk }] });
  const before = await moon.snapshot();
  const gateway = await startGateway(lab, {});
  // As strongSwan's device for ESP in user space takes it.
  assert.equal(await sizeSeen(lab), 1360);
  await setVariables(lab, { IPSEC_MSS: "1200" });
  await reload(gateway);
  assert.equal(await sizeSeen(lab), 1200);
  await moon.run(["nft", "flush", "ruleset"]);
  await reload(gateway);
  assert.equal(await sizeSeen(lab), 1200);
  await setVariables(lab, { IPSEC_MSS: "off" });
  await reload(gateway);
  assert.deepEqual((await moon.snapshot()).firewall, before.firewall);
  assert.equal(await stop(gateway), 0);
  assert.deepEqual(await moon.snapshot(), before);
});

test("translated packets reach the tunnel with their own source when they are exempted, and without do not", async () => {
  await using lab = await createLab();
  const { moon, sun } = lab;
  await sun.peer({ connections: [{ psk }] });
  await moon.run(["nft", "-f", "-"], { input: translating });
  const before = await moon.snapshot();
  const gateway = await startGateway(lab, {});
  assert.equal((await moon.ping(sun.host)).received, 0);
  const { verdict, hint } = await judgedByDoctor(lab);
  assert.equal(verdict, "failure");
  assert.match(hint ?? "", /^set IPSEC_NAT_EXEMPT=yes, or: /);
  await setVariables(lab, { IPSEC_NAT_EXEMPT: "yes" });
  await reload(gateway);
  assert.equal((await judgedByDoctor(lab)).verdict, "ok");
  const seen = await sun.capture("icmp", { device: "ipsec0" });
  const pings = moon.continuousPing(sun.host);
  await pings.waitForAnswer();
  await pings.stop();
  const requests = (await seen.stop()).filter((packet) => packet.includes("echo request"));
  assert.ok(requests.length > 0);
  for (const request of requests) assert.ok(request.includes(` ${moon.host} > ${sun.host}:`), request);
  assert.equal(await stop(gateway), 0);
  assert.deepEqual(await moon.snapshot(), before);
});

test("the rules of a gateway that was killed are gone with the next start, which needs none", async () => {
  await using lab = await createLab();
  const before = await lab.moon.snapshot();
  const killed = await startGateway(lab, { IPSEC_START: "add", IPSEC_NAT_EXEMPT: "yes" });
  await killed.kill();
  assert.notDeepEqual((await lab.moon.snapshot()).firewall, before.firewall);
  const next = await startGateway(lab, { IPSEC_START: "add", IPSEC_MSS: "off" });
  assert.deepEqual((await lab.moon.snapshot()).firewall, before.firewall);
  assert.equal(await stop(next), 0);
  assert.deepEqual(await lab.moon.snapshot(), before);
});

const startGateway = async (lab: Lab, changes: Readonly<Record<string, string>>) => {
  await setVariables(lab, changes);
  const gateway = lab.moon.gateway({ ENVFILE: envFile });
  await isReady(gateway);
  if (changes["IPSEC_START"] !== "add") await hasTunnels(gateway);
  return gateway;
};

const setVariables = ({ moon, sun }: Lab, changes: Readonly<Record<string, string>>): Promise<void> => {
  const environment = tunnelEnvironment(moon, sun, { IPSEC_START: "start", ...changes });
  return moon.writeFile(envFile, linesOf(environment), 0o600);
};

/** The MSS of moon's SYN as sun gets it out of the tunnel. */
const sizeSeen = async ({ moon, sun }: Lab): Promise<number> => {
  const seen = await sun.capture("tcp[tcpflags] & tcp-syn != 0 and tcp dst port 9", { device: "ipsec0" });
  await connect(moon, sun.host);
  const packet = await seen.waitForPacket(/mss \d+/);
  await seen.stop();
  return Number(/mss (\d+)/.exec(packet)?.[1]);
};

const judgedByDoctor = async ({ moon }: Lab) => {
  const doctor = moon.gateway({ ENVFILE: envFile }, { args: ["doctor", "--json"] });
  await doctor.exited;
  const { results } = JSON.parse(doctor.stdout()) as {
    readonly results: readonly { readonly name: string; readonly verdict: string; readonly hint?: string }[];
  };
  return results.find(({ name }) => name === "address-translation") ?? assert.fail(doctor.output());
};

/** Nobody listens; the SYN is all that matters. */
const connect = (site: Site, host: string) =>
  site.exec(["bash", "-c", `exec 3<>/dev/tcp/${host}/9`], { timeoutMs: 20_000 });

const translating = `
table ip others {
  chain out {
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr 10.1.0.0/24 snat to 192.0.2.1
  }
}
`;

const network = (text: string): Network => {
  const parsed = parseNetwork(text);
  assert.ok(parsed.ok, text);
  return parsed.value.network;
};

/** Few bits differ, so that networks often lie in each other, and cross. */
const anyNetwork = fc.oneof(
  fc
    .tuple(fc.integer({ min: 0, max: 7 }), fc.integer({ min: 6, max: 32 }))
    .map(([part, length]) => network(`${part * 4}.${part}.0.${part}/${length}`)),
  fc
    .tuple(fc.integer({ min: 0, max: 7 }), fc.integer({ min: 16, max: 128 }))
    .map(([part, length]) => network(`2001:db8:${part}::${part}/${length}`)),
  fc.constantFrom(network("0.0.0.0/0"), network("::/0")),
);

const sizes = fc.constantFrom(556, 1382, 8980).map((ipv4) => ({ ipv4, ipv6: ipv4 - 20 }));

const anyRule: fc.Arbitrary<PacketRule> = fc
  .record({
    localNetworks: fc.array(anyNetwork, { maxLength: 5 }),
    remoteNetworks: fc.array(anyNetwork, { maxLength: 5 }),
    interfaceName: fc.constantFrom(undefined, undefined, "vti42", "xfrm4294967295"),
    sizes: fc.option(sizes),
    keepsSource: fc.boolean(),
  })
  .map(({ interfaceName, sizes, ...rule }) => ({
    ...rule,
    ...(interfaceName === undefined ? {} : { interfaceName }),
    ...(sizes === null ? {} : { segments: { kernel: sizes, userspace: sizes, isDemanded: true } }),
  }));
