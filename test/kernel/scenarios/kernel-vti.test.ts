// with either backend
// limit: 300 seconds
import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { createLab, type Lab } from "../../support/lab.ts";
import { stop } from "../../support/our-gateway.ts";
import type { Site } from "../../support/site.ts";
import type { Environment } from "../../support/site-process.ts";
import { vtiEnvironment } from "../../support/vti-environment.ts";
import { isPatientlyReady, patience } from "./patience.ts";

process.env.VNF_IPSEC_COMMAND = "node dist/vnf-ipsec";

test("a megabyte of TCP crosses two VTIs each way at the computed MTU, unfragmented and only as ESP, where rp_filter is strict, too", async () => {
  await using lab = await createLab();
  const { moon, sun } = lab;
  await moon.run(["sysctl", "-qw", "net.ipv4.conf.all.rp_filter=1"]);
  await streamsBothWays(lab, {
    mtu: 1422,
    moon: vtiEnvironment(moon, sun),
    sun: vtiEnvironment(sun, moon),
    meanwhile: () => acceptsFromElsewhere(lab),
  });
});

test("a megabyte of TCP crosses two VTIs between IPv6 endpoints over a path of 1400 bytes, too", async () => {
  await using lab = await createLab({
    ipv6: true,
    moon: { networks: ["2001:db8:1::/64"] },
    sun: { networks: ["2001:db8:2::/64"] },
  });
  const { moon, sun } = lab;
  for (const site of [moon, sun]) await site.run(["ip", "link", "set", "dev", "eth0", "mtu", "1400"]);
  await streamsBothWays(lab, { mtu: 1310, moon: environment6(moon, sun), sun: environment6(sun, moon) });
});

const environment6 = (site: Site, peer: Site): Environment => {
  const link = (one: Site) => one.address6.replace("2001:db8::", "fd00:42::");
  return {
    ...vtiEnvironment(site, peer),
    IPSEC_LOCALIP: site.address6,
    IPSEC_REMOTEIP: peer.address6,
    IPSEC_LOCALNET: "::/0",
    IPSEC_REMOTENET: "::/0",
    IPSEC_VTI_IPADDR_LOCAL: link(site),
    IPSEC_VTI_IPADDR_PEER: link(peer),
  };
};

type Case = {
  readonly mtu: number;
  readonly moon: Environment;
  readonly sun: Environment;
  /** Once the stream has passed; the wire is no longer watched. */
  readonly meanwhile?: () => Promise<void>;
};

/** moon has its interface from `init`, sun from `run --with-init`; nothing but that of `init` stays. */
const streamsBothWays = async (lab: Lab, { mtu, meanwhile, ...environments }: Case): Promise<void> => {
  const { moon, sun } = lab;
  const init = moon.gateway(environments.moon, { args: ["init"] });
  assert.equal((await init.exited).exitCode, 0, init.output());
  // What is lost after `init`, run puts back, and takes it back at its end.
  for (const network of sun.networks) await moon.run(["ip", "route", "delete", network, "dev", "vti42"]);
  const before = await lab.snapshot();
  const gateways = [
    moon.gateway(environments.moon),
    sun.gateway(environments.sun, { args: ["run", "--with-init"] }),
  ];
  await Promise.all(gateways.map((gateway) => isPatientlyReady(gateway)));
  for (const site of [moon, sun]) {
    const [link] = JSON.parse(await site.run(["ip", "-json", "link", "show", "dev", "vti42"]));
    assert.equal(link.mtu, mtu);
  }

  const wire = await lab.captureWire();
  const pings = moon.continuousPing(sun.host, { intervalSeconds: 0.2 });
  await pings.waitForAnswer(patience);
  await pings.stop();
  const largest = { size: mtu - (sun.host.includes(":") ? 48 : 28), dontFragment: true };
  assert.equal((await sun.ping(moon.host, largest)).received, 3);
  const server = sun.spawn([process.execPath, "-e", echo, sun.host]);
  await server.waitForOutput(/listening/, patience);
  assert.match(await moon.run([process.execPath, "-e", sendAndCompare, sun.host, moon.host]), /^same$/m);
  await server.exited;
  // A fragment would be told by its protocol's number only.
  const others = (await wire.stop()).filter(
    (packet) => !/ESP\(spi=|isakmp| ARP,|neighbor (?:sol|adv)/.test(packet),
  );
  assert.deepEqual(others, []);
  await meanwhile?.();

  assert.deepEqual(await Promise.all(gateways.map(stop)), [0, 0]);
  assert.deepEqual(await lab.snapshot(), before);
};

/** Answers go back by moon's default route, so strict checking takes the questions for forgeries (RFC 3704 §2.2). */
const acceptsFromElsewhere = async ({ moon, sun }: Lab): Promise<void> => {
  await sun.run(["ip", "address", "add", "10.7.0.1/32", "dev", "lo"]);
  const elsewhere = { from: "10.7.0.1" };
  assert.equal((await sun.ping(moon.host, elsewhere)).received, 3);
  await moon.run(["sysctl", "-qw", "net.ipv4.conf.vti42.rp_filter=1"]);
  assert.equal((await sun.ping(moon.host, elsewhere)).received, 0);
  await moon.run(["sysctl", "-qw", "net.ipv4.conf.vti42.rp_filter=2"]);
  await sun.run(["ip", "address", "delete", "10.7.0.1/32", "dev", "lo"]);
};

const echo = `
const server = require("node:net").createServer({ allowHalfOpen: true }, (socket) => {
  server.close();
  socket.pipe(socket);
});
server.listen(4000, process.argv[1], () => console.log("listening"));
`;

const sendAndCompare = `
const [, host, localAddress] = process.argv;
const sent = require("node:crypto").randomBytes(1_000_000);
const socket = require("node:net").connect({ host, port: 4000, localAddress }, () => socket.end(sent));
const received = [];
socket.on("data", (chunk) => received.push(chunk));
socket.on("end", () => console.log(Buffer.concat(received).equals(sent) ? "same" : "different"));
`;
