// limit: 300 seconds
import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { createLab, type Lab } from "../../support/lab.ts";
import { stop, tunnelEnvironment, tunnelPsk } from "../../support/our-gateway.ts";
import type { Environment, SiteProcess } from "../../support/site-process.ts";
import { waitFor } from "../../support/wait-for.ts";
import { isPatientlyReady, patience } from "./patience.ts";

process.env.VNF_IPSEC_COMMAND = "node dist/vnf-ipsec";

/** Behind sun, and in none of the lab's networks. */
const elsewhere = ["203.0.113.1", "2001:db8:ffff::1"];

test("an XFRM interface over IPv6 carries all of both families, but not the tunnel's own packets; doctor and probes take IPv6", async () => {
  await using lab = await createLab({ router: true, ipv6: true });
  const { moon, sun } = lab;
  for (const address of elsewhere) await sun.run(["ip", "address", "add", address, "dev", "lo"]);
  // As router advertisements tell it.
  await moon.run(["ip", "-6", "route", "replace", "default", "via", "fe80::fffe", "dev", "eth0"]);
  const before = await lab.snapshot();
  const environment = {
    ...ends(lab, { IPSEC_START: "start" }),
    IPSEC_LOCALNET: "0.0.0.0/0,::/0",
    IPSEC_REMOTENET: "0.0.0.0/0,::/0",
    IPSEC_XFRM_STATICROUTES: "0.0.0.0/0,::/0",
    IPSEC_HTTP_LISTEN: "[::1]:9100",
  };
  const gateways = [
    moon.gateway(environment, { args: ["run", "--with-init"] }),
    sun.gateway(
      {
        ...ends({ moon: sun, sun: moon }),
        IPSEC_LOCALNET: "0.0.0.0/0,::/0",
        IPSEC_REMOTENET: moon.networks.join(","),
        IPSEC_XFRM_STATICROUTES: moon.networks.join(","),
      },
      { args: ["run", "--with-init"] },
    ),
  ] as const;
  await Promise.all(gateways.map((gateway) => isPatientlyReady(gateway)));
  const [ours] = gateways;
  await ours.waitForRecord(({ event }) => event === "tunnel-up", patience);

  const wire = await lab.captureWire();
  for (const host of [...sun.hosts, ...elsewhere]) {
    const from = moon.hosts.find((own) => own.includes(":") === host.includes(":")) ?? assert.fail();
    assert.equal((await moon.ping(host, { from })).received, 3, `${host}\n${ours.output()}`);
  }
  for (const host of moon.hosts) assert.equal((await sun.ping(host)).received, 3, host);
  assert.match(await probe(lab), /^HTTP\/1\.1 200 /);
  await doctorIsContent(lab, environment);

  const around = async () => await moon.run(["ip", "-6", "route", "show", sun.address6, "proto", "50"]);
  assert.match(await around(), /^2001:db8::2 via fe80::fffe dev eth0/);
  await moon.run(["ip", "-6", "route", "delete", sun.address6, "proto", "50"]);
  await waitFor(
    "the route around the interface to be put back",
    async () => (/ via fe80::fffe /.test(await around()) ? true : undefined),
    { explain: ours.output, ...patience },
  );
  assert.equal((await moon.ping(elsewhere[1] as string, { from: moon.hosts[1] as string })).received, 3);
  assert.deepEqual(clear(await wire.stop()), []);

  assert.deepEqual(await Promise.all(gateways.map(stop)), [0, 0]);
  assert.deepEqual(await lab.snapshot(), before);
});

test("two hosts on one link are their own networks of IPv6, and still find each other", async () => {
  await using lab = await createLab({ ipv6: true });
  const { moon, sun } = lab;
  const peer = await sun.peer({
    connections: [
      {
        psk: Buffer.from(tunnelPsk),
        localAddress: sun.address6,
        remoteAddress: moon.address6,
        localNetworks: [sun.address6],
        remoteNetworks: [moon.address6],
      },
    ],
  });
  const before = await moon.snapshot();
  const gateway = moon.gateway(
    tunnelEnvironment(moon, sun, {
      IPSEC_DATAPLANE: "kernel",
      IPSEC_LOCALIP: moon.address6,
      IPSEC_REMOTEIP: sun.address6,
      IPSEC_LOCALNET: moon.address6,
      IPSEC_REMOTENET: sun.address6,
    }),
  );
  await isPatientlyReady(gateway);
  const wire = await lab.captureWire();
  const forget = (): Promise<unknown> =>
    Promise.all([moon, sun].map((site) => site.run(["ip", "-6", "neighbour", "flush", "all"])));
  await forget();
  await peer.swanctl("--initiate", "--child", "site", "--timeout", "60");
  await isAnswered(lab, gateway);
  // Whoever was found is asked again every now and then.
  await forget();
  await isAnswered(lab, gateway);
  await peer.swanctl("--terminate", "--ike", "site");
  await forget();
  await isAnswered(lab, gateway);
  assert.deepEqual(clear(await wire.stop()), []);
  assert.equal(await stop(gateway), 0);
  assert.deepEqual(await moon.snapshot(), before);
});

test("without a tunnel nothing of protected IPv6 networks leaves in clear, along a route of IPv6 that the gateway made", async () => {
  await using lab = await createLab({ router: true, ipv6: true });
  const { moon, sun } = lab;
  const gateway = moon.gateway(
    tunnelEnvironment(moon, sun, {
      IPSEC_DATAPLANE: "kernel",
      IPSEC_LOCALIP: moon.address6,
      IPSEC_REMOTEIP: sun.address6,
      IPSEC_START: "add",
      SET_ROUTE_DEFAULT_TABLE: "yes",
    }),
  );
  const wire = await moon.capture("icmp or icmp6[icmp6type] == icmp6-echo", { sentOnly: true });
  for (const host of sun.hosts) await moon.ping(host, { count: 1 });
  await wire.waitForPacket(/ > 2001:db8:2::1: ICMP6, echo request/);
  await isPatientlyReady(gateway);
  const route = await moon.run(["ip", "-6", "route", "show", "2001:db8:2::/64"]);
  assert.match(route, /via 2001:db8::fffe dev eth0 src 2001:db8::1 /);
  const seen = (await wire.packets()).length;
  for (const host of sun.hosts) assert.equal((await moon.ping(host)).received, 0);
  assert.equal((await wire.stop()).length, seen);
  assert.equal(await stop(gateway), 0);
});

const ends = ({ moon, sun }: Pick<Lab, "moon" | "sun">, changes: Environment = {}): Environment => ({
  ...tunnelEnvironment(moon, sun, { IPSEC_DATAPLANE: "kernel", IPSEC_BACKEND: "swanctl" }),
  IPSEC_LOCALIP: moon.address6,
  IPSEC_REMOTEIP: sun.address6,
  IPSEC_XFRM_IF_ID: "42",
  ...changes,
});

const isAnswered = async ({ moon, sun }: Lab, gateway: SiteProcess): Promise<void> => {
  const pings = moon.continuousPing(sun.address6, { intervalSeconds: 0.2 });
  await pings.waitForAnswer(patience).catch((fault) => assert.fail(`${fault}\n${gateway.output()}`));
  await pings.stop();
};

const clear = (packets: readonly string[]): readonly string[] =>
  packets.filter((packet) => !/ESP\(spi=|isakmp| ARP,|neighbor (?:sol|adv)/.test(packet));

const probe = ({ moon }: Lab): Promise<string> =>
  moon.run([
    ...(["bash", "-c"] as const),
    'exec 3<>/dev/tcp/::1/9100; printf "GET /livez HTTP/1.0\\r\\n\\r\\n" >&3; cat <&3',
  ]);

const doctorIsContent = async ({ moon, sun }: Lab, environment: Environment): Promise<void> => {
  const target = sun.hosts.find((host) => host.includes(":")) ?? assert.fail();
  const doctor = moon.gateway(environment, { args: ["doctor", "--json", "--target", target] });
  assert.equal((await doctor.exited).exitCode, 0, doctor.output());
  const { results } = JSON.parse(doctor.stdout()) as {
    readonly results: readonly { readonly verdict: string; readonly message: string }[];
  };
  assert.deepEqual(
    results.filter(({ verdict }) => verdict !== "ok"),
    [],
    doctor.stdout(),
  );
  const said = results.map(({ message }) => message);
  assert.ok(said.some((message) => message.startsWith(`the peer ${sun.address6} is reached by eth0`)));
  assert.ok(said.some((message) => message.startsWith("the largest packet that passes")));
};
