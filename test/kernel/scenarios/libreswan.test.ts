// with either backend
// with libreswan
// limit: 300 seconds
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import process from "node:process";
import { test } from "node:test";
import { backendUnderTest } from "../../support/backend-under-test.ts";
import { createLab, type Lab } from "../../support/lab.ts";
import { startLibreswan } from "../../support/libreswan.ts";
import { stop } from "../../support/our-gateway.ts";
import { createPki, type Issued } from "../../support/pki.ts";
import { repository } from "../../support/repository.ts";
import { waitFor } from "../../support/wait-for.ts";
import { isPatientlyReady, patience } from "./patience.ts";

process.env.VNF_IPSEC_COMMAND = "node dist/vnf-ipsec";

/** What the page says of either end. */
const page = readFileSync(`${repository}/docs/interoperability.md`, "utf8");
const [, ourConnections = ""] = /^```yaml\n(.*?)^```$/ms.exec(page) ?? [];
const [, theirConnections = ""] = /^```\n(config setup.*?)^```$/ms.exec(page) ?? [];

/** Each has an end of its own at sun: two makes tell connections apart by their ends. */
const connections = [
  { name: "ikev2", peer: "192.0.2.2", host: "10.2.0.1" },
  { name: "ikev2-ipv6", peer: "2001:db8::2", host: "2001:db8:2::1" },
  { name: "ikev2-certificates", peer: "192.0.2.12", host: "10.2.1.1" },
  { name: "ikev1", peer: "192.0.2.13", host: "10.2.2.1" },
] as const;

/** Told nothing about algorithms at either side: libreswan accepts more than it offers. */
const ikev1Defaults = { name: "ikev1-defaults", peer: "192.0.2.14", host: "10.2.3.1" } as const;

test("tunnels to libreswan, as the page writes them, come up from either side, get new keys from either side, and carry nothing in clear", async (context) => {
  await using lab = await createLab({
    ipv6: true,
    moon: { networks: ["10.1.0.0/24", "2001:db8:1::/64"] },
    sun: { networks: [...[0, 1, 2, 3].map((number) => `10.2.${number}.0/24`), "2001:db8:2::/64"] },
  });
  const { moon, sun } = lab;
  for (const { peer } of [...connections, ikev1Defaults])
    if (peer !== sun.address && peer !== sun.address6)
      await sun.run(["ip", "address", "add", `${peer}/24`, "dev", "eth0"]);
  using pki = createPki();
  const authority = pki.root("/C=DE/O=Example/CN=root");
  const theirs = authority.issue({ subject: "/C=DE/O=Example/CN=sun", kind: "rsa" });
  await writeOurFiles(lab, authority.issue({ subject: "/C=DE/O=Example/CN=moon" }), authority.certificate);
  const pluto = await startLibreswan(sun, {
    configuration: `${theirConnections}\n${theirIkev1Defaults}`,
    secrets: `: PSK "${psk}"\n`,
    certificates: { own: { sun: theirs }, authority: authority.certificate },
  });
  const environment = { IPSEC_CONFIG_FILE: configFile, IPSEC_DATAPLANE: "kernel", ...backendUnderTest };
  const gateway = moon.gateway(environment);
  await isPatientlyReady(gateway);
  const wire = await lab.captureWire();
  const explain = (): string => `${pluto.output()}\n${gateway.output()}`;

  for (const { name, host } of connections) {
    await context.test(`${name}, begun by libreswan`, async () => {
      const from = gateway.output().length;
      await pluto.whack("--initiate", "--name", name);
      await isAnswered(lab, host, explain);
      assert.doesNotMatch(gateway.output().slice(from), initiation);
    });
  }

  for (const { name, peer, host } of connections) {
    await context.test(`${name}, begun by us`, async () => {
      await pluto.whack("--terminate", "--name", name);
      await isGone(lab, peer, explain);
      const from = gateway.output().length;
      await isAnswered(lab, host, explain);
      assert.match(gateway.output().slice(from), initiation);
    });
  }

  await context.test("ikev2, with new keys that libreswan asked for", async () => {
    const [{ name, peer, host }] = connections;
    const before = await spisOf(lab, peer);
    await pluto.whack("--rekey-ipsec", "--name", name);
    await hasNewKeys(lab, peer, before, explain);
    await isAnswered(lab, host, explain);
  });

  await context.test("all of them, with new keys that we asked for", async () => {
    const doctor = moon.gateway(environment, { args: ["doctor", "--json", "--rekey"] });
    await doctor.exited;
    const { results } = JSON.parse(doctor.stdout()) as {
      results: readonly { name: string; message: string }[];
    };
    assert.deepEqual(
      results.flatMap(({ name, message }) => (name === "rekey" ? [message] : [])).sort(),
      connections.map(({ name }) => `${name} has new keys`).sort(),
      explain(),
    );
    await Promise.all(connections.map(({ host }) => isAnswered(lab, host, explain)));
  });

  await context.test("ikev1 with the defaults of both: we refuse theirs, they take ours", async () => {
    const from = gateway.records().length;
    await pluto.whack("--initiate", "--asynchronous", "--name", ikev1Defaults.name);
    const record = await gateway.waitForRecord(({ event }) => event === "diagnosis", { from, ...patience });
    assert.equal(record["cause"], "ike-proposal-mismatch", explain());
    await pluto.whack("--terminate", "--name", ikev1Defaults.name);
    await isAnswered(lab, ikev1Defaults.host, explain);
  });

  const clear = (await wire.stop()).filter(
    (packet) => !/ESP\(spi=|isakmp| ARP,|neighbor (?:sol|adv)/.test(packet),
  );
  assert.deepEqual(clear, []);
  assert.equal(await stop(gateway), 0);
  await pluto.stop();
});

const configFile = "/etc/vnf-ipsec/connections.yaml";

const psk = "a long random text that both know";

const ourIkev1Defaults = `  ${ikev1Defaults.name}:
    remoteip: ${ikev1Defaults.peer}
    remotenet: 10.2.3.0/24
    keyexchange: ikev1
`;

const theirIkev1Defaults = `conn ${ikev1Defaults.name}
	ikev2=no
	authby=secret
	left=${ikev1Defaults.peer}
	leftsubnet=10.2.3.0/24
	right=192.0.2.1
	rightsubnet=10.1.0.0/24
	auto=add
`;

const initiation = /initiating (?:Main Mode )?IKE_SA/;

const writeOurFiles = async (
  { moon }: Lab,
  { certificate, privateKey }: Issued,
  authority: string,
): Promise<void> => {
  await moon.writeFile(configFile, `${ourConnections}${ourIkev1Defaults}`);
  await moon.writeFile("/run/secrets/psk", psk, 0o600);
  await moon.writeFile("/etc/vnf-ipsec/moon.pem", certificate);
  await moon.writeFile("/run/secrets/moon.key", privateKey, 0o600);
  await moon.writeFile("/etc/vnf-ipsec/ca.pem", authority);
};

/** Pings from moon, the first of which may bring the tunnel up, then back. */
const isAnswered = async ({ moon, sun }: Lab, host: string, explain: () => string): Promise<void> => {
  const own = moon.hosts.find((one) => one.includes(":") === host.includes(":")) ?? assert.fail();
  const pings = moon.continuousPing(host, { from: own, intervalSeconds: 0.2 });
  await pings.waitForAnswer(patience).catch((fault) => assert.fail(`${fault}\n${explain()}`));
  await pings.stop();
  assert.equal((await sun.ping(own, { from: host })).received, 3, explain());
};

/** What our end sends with. */
const spisOf = async ({ moon }: Lab, peer: string): Promise<readonly string[]> => {
  const states = await moon.run(["ip", "xfrm", "state", "list", "dst", peer]);
  return [...states.matchAll(/spi (0x[0-9a-f]{8})/g)].map(([, spi = ""]) => spi);
};

/** Our end has heard that the tunnel is gone. */
const isGone = async (lab: Lab, peer: string, explain: () => string): Promise<void> => {
  const look = async () => ((await spisOf(lab, peer)).length === 0 ? true : undefined);
  await waitFor("our end to have no tunnel", look, { explain, ...patience });
};

/** The former ones may still be there. */
const hasNewKeys = async (
  lab: Lab,
  peer: string,
  before: readonly string[],
  explain: () => string,
): Promise<void> => {
  const look = async () => {
    const spis = await spisOf(lab, peer);
    return spis.some((spi) => !before.includes(spi)) ? true : undefined;
  };
  await waitFor("new keys", look, { explain, ...patience });
};
