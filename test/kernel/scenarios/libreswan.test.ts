// with either backend
// with libreswan
// limit: 300 seconds
import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { backendUnderTest } from "../../support/backend-under-test.ts";
import { createLab, type Lab } from "../../support/lab.ts";
import { type Libreswan, startLibreswan } from "../../support/libreswan.ts";
import { diagnoses, stop } from "../../support/our-gateway.ts";
import { createPki, type Issued } from "../../support/pki.ts";
import type { SiteProcess } from "../../support/site-process.ts";
import { waitFor } from "../../support/wait-for.ts";
import { isPatientlyReady, patience } from "./patience.ts";

process.env.VNF_IPSEC_COMMAND = "node dist/vnf-ipsec";

const psk = "a long random text that both know";

/** Each has an end of its own at sun: two makes tell connections apart by their ends. */
const connections = [
  { name: "ikev2-psk", peer: "192.0.2.2", host: "10.2.0.1", from: "10.1.0.1" },
  { name: "ikev2-cert", peer: "192.0.2.12", host: "10.2.1.1", from: "10.1.0.1" },
  { name: "ikev2-ipv6", peer: "2001:db8::2", host: "2001:db8:2::1", from: "2001:db8:1::1" },
  { name: "ikev1-psk", peer: "192.0.2.13", host: "10.2.2.1", from: "10.1.0.1" },
] as const;

/** All defaults, but for IKEv1, where the two have none in common. */
const ourConnections = `
defaults:
  localip: 192.0.2.1
  localnet: 10.1.0.0/24
  psk: ${psk}
connections:
  ikev2-psk:
    remoteip: 192.0.2.2
    remotenet: 10.2.0.0/24
  ikev2-cert:
    remoteip: 192.0.2.12
    remoteid: C=DE, O=Example, CN=sun
    remotenet: 10.2.1.0/24
    auth: pubkey
    psk: ""
    cert_file: /etc/vnf-ipsec/moon.pem
    private_key_file: /etc/vnf-ipsec/moon.key
    ca_cert_file: /etc/vnf-ipsec/ca.pem
  ikev2-ipv6:
    localip: 2001:db8::1
    localnet: 2001:db8:1::/64
    remoteip: 2001:db8::2
    remotenet: 2001:db8:2::/64
  ikev1-psk:
    remoteip: 192.0.2.13
    remotenet: 10.2.2.0/24
    keyexchange: ikev1
    ikecipher: aes256-sha256-modp2048
    espcipher: aes256-sha1-modp2048
  ikev1-defaults:
    remoteip: 192.0.2.14
    remotenet: 10.2.3.0/24
    keyexchange: ikev1
`;

const theirConnections = `
conn ikev2-psk
	authby=secret
	left=192.0.2.2
	leftsubnet=10.2.0.0/24
	right=192.0.2.1
	rightsubnet=10.1.0.0/24
	auto=add
conn ikev2-cert
	left=192.0.2.12
	leftcert=sun
	leftid=%fromcert
	leftsubnet=10.2.1.0/24
	right=192.0.2.1
	rightid="C=DE, O=Example, CN=moon"
	rightsubnet=10.1.0.0/24
	auto=add
conn ikev2-ipv6
	authby=secret
	left=2001:db8::2
	leftsubnet=2001:db8:2::/64
	right=2001:db8::1
	rightsubnet=2001:db8:1::/64
	auto=add
conn ikev1-psk
	ikev2=no
	authby=secret
	left=192.0.2.13
	leftsubnet=10.2.2.0/24
	right=192.0.2.1
	rightsubnet=10.1.0.0/24
	auto=add
conn ikev1-defaults
	ikev2=no
	authby=secret
	left=192.0.2.14
	leftsubnet=10.2.3.0/24
	right=192.0.2.1
	rightsubnet=10.1.0.0/24
	auto=add
`;

test("tunnels to libreswan come up from either side, renew their keys, and pass nothing but ESP", async (context) => {
  await using lab = await createLab({
    ipv6: true,
    moon: { networks: ["10.1.0.0/24", "2001:db8:1::/64"] },
    sun: { networks: ["10.2.0.0/24", "10.2.1.0/24", "10.2.2.0/24", "10.2.3.0/24", "2001:db8:2::/64"] },
  });
  const { moon, sun } = lab;
  for (const address of ["192.0.2.12", "192.0.2.13", "192.0.2.14"])
    await sun.run(["ip", "address", "add", `${address}/32`, "dev", "eth0"]);
  using pki = createPki();
  const authority = pki.root("/C=DE/O=Example/CN=root");
  const theirs = authority.issue({ subject: "/C=DE/O=Example/CN=sun", kind: "rsa" });
  await writeOurFiles(lab, authority.issue({ subject: "/C=DE/O=Example/CN=moon" }), authority.certificate);

  const pluto = await startLibreswan(sun, {
    configuration: theirConnections,
    secrets: `: PSK "${psk}"\n`,
    certificates: { own: { sun: theirs }, authority: authority.certificate },
  });
  const gateway = moon.gateway({ IPSEC_CONFIG_FILE: configFile, ...backendUnderTest });
  await isPatientlyReady(gateway);
  const wire = await lab.captureWire();

  for (const connection of connections) {
    await context.test(`${connection.name}, begun by libreswan`, async () => {
      const from = gateway.output().length;
      await pluto.whack("--initiate", "--name", connection.name);
      await passesBothWays(lab, connection, pluto, gateway);
      assert.doesNotMatch(gateway.output().slice(from), initiation);
    });
    await context.test(`${connection.name}, begun by us`, async () => {
      await pluto.whack("--terminate", "--name", connection.name);
      await isGone(lab, connection.peer, gateway);
      const from = gateway.output().length;
      await passesBothWays(lab, connection, pluto, gateway);
      assert.match(gateway.output().slice(from), initiation);
    });
  }

  await context.test(
    "IKEv1 with the defaults of both has no proposal in common, and our log says so",
    async () => {
      const from = gateway.records().length;
      await moon.ping("10.2.3.1", { count: 1 });
      const record = await gateway.waitForRecord(({ event }) => event === "diagnosis", { from, ...patience });
      assert.equal(record.cause, "no-proposal", JSON.stringify(diagnoses(gateway, from)));
    },
  );

  const packets = await wire.stop();
  assert.deepEqual(
    packets.filter((packet) => !/ESP\(spi=|isakmp| ARP,|neighbor (?:sol|adv)/.test(packet)),
    [],
  );
  assert.equal(await stop(gateway), 0);
  await pluto.stop();
});

const configFile = "/etc/vnf-ipsec/connections.yaml";

const initiation = /initiating (?:Main Mode )?IKE_SA/;

const writeOurFiles = async (
  { moon }: Lab,
  { certificate, privateKey }: Issued,
  authority: string,
): Promise<void> => {
  await moon.writeFile(configFile, ourConnections, 0o600);
  await moon.writeFile("/etc/vnf-ipsec/moon.pem", certificate);
  await moon.writeFile("/etc/vnf-ipsec/moon.key", privateKey, 0o600);
  await moon.writeFile("/etc/vnf-ipsec/ca.pem", authority);
};

const passesBothWays = async (
  { moon, sun }: Lab,
  { host, from }: (typeof connections)[number],
  pluto: Libreswan,
  gateway: SiteProcess,
): Promise<void> => {
  const pings = moon.continuousPing(host, { from, intervalSeconds: 0.2 });
  await pings
    .waitForAnswer(patience)
    .catch((fault) => assert.fail(`${fault}\n${pluto.output()}\n${gateway.output()}`));
  await pings.stop();
  assert.equal((await sun.ping(from, { from: host })).received, 3);
};

/** Our end has heard that the tunnel is gone. */
const isGone = async ({ moon }: Lab, peer: string, gateway: SiteProcess): Promise<void> => {
  const states = (): Promise<string> => moon.run(["ip", "xfrm", "state", "list", "dst", peer]);
  const look = async () => ((await states()).trim() === "" ? true : undefined);
  await waitFor("our end to have no tunnel", look, { explain: gateway.output, ...patience });
};
