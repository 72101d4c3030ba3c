// with either backend
// limit: 300 seconds
import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { createLab, type Lab } from "../../support/lab.ts";
import { hasTunnels, stop, tunnelEnvironment } from "../../support/our-gateway.ts";
import type { Environment } from "../../support/site-process.ts";
import { isPatientlyReady, patience } from "./patience.ts";

process.env.VNF_IPSEC_COMMAND = "node dist/vnf-ipsec";

type Case = {
  /** Pinged from moon, one after the other. */
  readonly hosts: readonly string[];
  readonly moon?: Environment;
  readonly sun?: Environment;
  /** How ESP between the endpoints looks in tcpdump. */
  readonly esp: RegExp;
};

/**
 * Two gateways that wait for a packet: moon's first one brings the tunnel up, answers come back, sun pings too, all of
 * it only as ESP and IKE on the wire; and after the stop both sites are as before.
 */
const passesTraffic = async (lab: Lab, { hosts, esp, ...changes }: Case): Promise<void> => {
  const { moon, sun } = lab;
  const before = await lab.snapshot();
  const kernel = { IPSEC_DATAPLANE: "kernel", IPSEC_START: "route" };
  const gateways = [
    moon.gateway(tunnelEnvironment(moon, sun, { ...kernel, ...changes.moon })),
    sun.gateway(tunnelEnvironment(sun, moon, { ...kernel, ...changes.sun })),
  ];
  await Promise.all(gateways.map((gateway) => isPatientlyReady(gateway)));
  assert.equal((await moon.run(["ip", "xfrm", "state"])).trim(), "");
  assert.doesNotMatch(gateways.map((gateway) => gateway.output()).join(""), /IKE_SA .* established/);

  const wire = await lab.captureWire();
  for (const host of hosts) {
    const pings = moon.continuousPing(host, { intervalSeconds: 0.2 });
    await pings.waitForAnswer(patience);
    assert.ok((await pings.stop()).received > 0);
  }
  for (const host of moon.hosts) assert.equal((await sun.ping(host)).received, 3);
  await Promise.all(gateways.map((gateway) => hasTunnels(gateway)));
  for (const site of [moon, sun]) assert.match(await site.run(["ip", "xfrm", "state"]), /proto esp spi/);
  for (const gateway of gateways) assert.match(gateway.output(), /parsed IKE_AUTH/);

  const packets = (await wire.stop()).filter((packet) => !/ ARP,|neighbor (?:solicit|advert)/.test(packet));
  assert.deepEqual(
    packets.filter(
      (packet) => !esp.test(packet) && !/: isakmp/.test(packet) && !/ NONESP-encap: isakmp/.test(packet),
    ),
    [],
  );
  assert.ok(packets.filter((packet) => esp.test(packet)).length >= 8, packets.join("\n"));
  assert.deepEqual(await Promise.all(gateways.map(stop)), [0, 0]);
  assert.deepEqual(await lab.snapshot(), before);
};

const plainEsp = / IP6? \S+ > [^ ]+: ESP\(spi=/;
const espInUdp = / IP6? \S+\.\d+ > \S+\.\d+: UDP-encap: ESP\(spi=/;

test("the first packet brings up a tunnel of kernel ESP, which with IPSEC_FORCEUDP=no is protocol 50, and nothing of it stays", async () => {
  await using lab = await createLab();
  const withoutUdp = { IPSEC_FORCEUDP: "no" };
  await passesTraffic(lab, { hosts: [lab.sun.host], moon: withoutUdp, sun: withoutUdp, esp: plainEsp });
});

test("a site behind NAT has its ESP in UDP, although IPSEC_FORCEUDP=no, and IPv4 and IPv6 networks pass it between IPv4 endpoints", async () => {
  await using lab = await createLab({ router: true, ...bothFamilies });
  await lab.masquerade(lab.moon);
  await passesTraffic(lab, {
    hosts: lab.sun.hosts,
    moon: { IPSEC_FORCEUDP: "no" },
    sun: {
      IPSEC_FORCEUDP: "no",
      IPSEC_REMOTEIP: "%any",
      IPSEC_REMOTEID: lab.moon.address,
      IPSEC_START: "add",
    },
    esp: espInUdp,
  });
});

test("IPv4 and IPv6 networks pass a tunnel between IPv6 endpoints", async () => {
  await using lab = await createLab({ ipv6: true, ...bothFamilies });
  const { moon, sun } = lab;
  await passesTraffic(lab, {
    hosts: sun.hosts,
    moon: { IPSEC_FORCEUDP: "no", IPSEC_LOCALIP: moon.address6, IPSEC_REMOTEIP: sun.address6 },
    sun: { IPSEC_FORCEUDP: "no", IPSEC_LOCALIP: sun.address6, IPSEC_REMOTEIP: moon.address6 },
    esp: plainEsp,
  });
});

const bothFamilies = {
  moon: { networks: ["10.1.0.0/24", "2001:db8:1::/64"] },
  sun: { networks: ["10.2.0.0/24", "2001:db8:2::/64"] },
};
