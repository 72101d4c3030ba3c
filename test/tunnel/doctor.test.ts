import assert from "node:assert/strict";
import { stat } from "node:fs/promises";
import { test } from "node:test";
import { createLab } from "../support/lab.ts";
import { hasTunnels, isReady, stop, tunnelEnvironment, tunnelPsk } from "../support/our-gateway.ts";
import type { Site } from "../support/site.ts";
import type { Environment } from "../support/site-process.ts";

const psk = Buffer.from(tunnelPsk);

type Result = {
  readonly name: string;
  readonly verdict: "ok" | "warning" | "failure" | "skipped";
  readonly message: string;
  readonly hint?: string;
  readonly details?: Readonly<Record<string, unknown>>;
};

const examine = async (site: Site, environment: Environment, ...options: readonly string[]) => {
  const command = site.gateway(environment, { args: ["doctor", "--json", ...options] });
  const { exitCode } = await command.exited;
  const { version, healthy, results } = JSON.parse(command.stdout()) as {
    version: number;
    healthy: boolean;
    results: readonly Result[];
  };
  assert.equal(version, 1);
  assert.equal(exitCode, healthy ? 0 : 1, command.output());
  const of = (verdict: Result["verdict"]): readonly string[] => [
    ...new Set(results.filter((one) => one.verdict === verdict).map(({ name }) => name)),
  ];
  const find = (name: string): Result => {
    const [worst] = results.filter((one) => one.name === name);
    assert.ok(worst, `${name} is not in ${JSON.stringify(results)}`);
    return worst;
  };
  return { healthy, results, of, find };
};

/** Forms in which the key could have got out. */
const assertWithoutKey = (text: string): void => {
  const forms = [tunnelPsk, psk.toString("base64").replace(/=+$/, ""), psk.toString("hex")];
  for (const form of forms) assert.ok(!text.includes(form), `the key is in:\n${text}`);
};

test("before a gateway runs, every fault of the host is told, and only those", async () => {
  await using lab = await createLab();
  const { moon, sun } = lab;
  const environment = tunnelEnvironment(moon, sun);
  const well = await examine(moon, environment);
  assert.deepEqual([well.of("failure"), well.of("warning")], [[], []], JSON.stringify(well.results));
  assert.deepEqual(well.of("skipped"), ["gateway", "mtu"]);

  await moon.run(["nft", "-f", "-"], {
    input: `
table inet filter {
  chain output {
    type filter hook output priority 0; policy accept;
    udp dport 500 drop
  }
}
table ip nat {
  chain postrouting {
    type nat hook postrouting priority 100; policy accept;
    oifname "eth0" masquerade
  }
}
`,
  });
  await moon.run(["sysctl", "-qw", "net.ipv4.conf.all.rp_filter=1"]);
  const rival = await moon.peer({});
  const ill = await examine(moon, environment);
  assert.deepEqual(ill.of("failure"), ["ports", "firewall", "address-translation"]);
  assert.deepEqual(ill.of("warning"), ["sysctls"]);
  assert.match(ill.find("ports").message, /by a charon that is not ours/);
  assert.match(
    ill.find("firewall").message,
    /UDP 500 to the peer .*: inet filter output: udp dport 500 drop$/,
  );
  assert.equal(
    ill.find("firewall").hint,
    "nft insert rule inet filter output udp dport { 500, 4500 } accept",
  );
  assert.match(ill.find("address-translation").message, /ip nat postrouting: oifname "eth0" masquerade$/);
  assert.match(ill.find("address-translation").hint ?? "", /^set IPSEC_NAT_EXEMPT=yes, or: nft insert rule /);
  assert.match(ill.find("sysctls").message, /rp_filter=1/);
  await rival.stop();

  // What it advises is what mends it.
  for (const name of ["firewall", "address-translation"])
    await moon.run(["bash", "-c", ill.find(name).hint?.replace(/^set .* or: /, "") ?? "false"]);
  await moon.run(["sysctl", "-qw", "net.ipv4.conf.all.rp_filter=2"]);
  const mended = await examine(moon, environment);
  assert.deepEqual([mended.of("failure"), mended.of("warning")], [[], []], JSON.stringify(mended.results));
});

test("an address that is not ours, a peer without route and a name that does not resolve are told with their variable", async () => {
  await using lab = await createLab();
  const { moon, sun } = lab;
  await moon.run(["ip", "route", "del", "default"]);
  const [foreign, unreachable, nameless, wrong] = await Promise.all([
    examine(moon, tunnelEnvironment(moon, sun, { IPSEC_LOCALIP: "192.0.2.77" })),
    examine(moon, tunnelEnvironment(moon, sun, { IPSEC_REMOTEIP: "203.0.113.9" })),
    examine(moon, tunnelEnvironment(moon, sun, { IPSEC_REMOTEIP: "nowhere.invalid" })),
    examine(moon, tunnelEnvironment(moon, sun, { IPSEC_LOCALNET: "", IPSEC_LIFETIME: "1" })),
  ]);
  assert.deepEqual(foreign.of("failure"), ["local-address"]);
  assert.match(foreign.find("local-address").hint ?? "", /IPSEC_LOCALIP to one of 192\.0\.2\.1/);
  assert.deepEqual(unreachable.of("failure"), ["route"]);
  assert.match(unreachable.find("route").message, /203\.0\.113\.9 .*Network is unreachable/);
  assert.deepEqual(nameless.of("failure"), ["peer-name"]);
  assert.match(nameless.find("peer-name").message, /^IPSEC_REMOTEIP: the name nowhere\.invalid does not/);
  // The rest is looked at all the same.
  assert.deepEqual(wrong.of("failure"), ["settings"]);
  assert.equal(wrong.results.filter(({ verdict }) => verdict === "failure").length, 2);
  assert.ok(wrong.of("ok").includes("firewall") && wrong.of("ok").includes("ports"));
});

test("a tunnel that works until its first renewal: all is well, --rekey reveals the mismatch, and it still works", async () => {
  await using lab = await createLab();
  const { moon, sun } = lab;
  await sun.peer({ connections: [{ psk, espProposals: "aes256gcm16-modp2048" }] });
  const environment = tunnelEnvironment(moon, sun, {
    IPSEC_ESPCIPHER: "aes256gcm16-ecp256",
    IPSEC_START: "start",
  });
  const gateway = moon.gateway(environment);
  await hasTunnels(gateway);
  const well = await examine(moon, environment, "--target", sun.host);
  assert.deepEqual([well.of("failure"), well.of("warning")], [[], []], JSON.stringify(well.results));
  assert.match(well.find("tunnel").message, /^site to 192\.0\.2\.2 is up/);
  assert.match(well.find("credentials").message, /have proven who they are$/);
  // Of the interface of user-space ESP; over the kernel's it is what ESP leaves of 1500.
  const largest = well.find("mtu").details?.["largestPacket"];
  assert.equal(largest, lab.dataPlane === "userspace" ? 1400 : 1438, JSON.stringify(well.find("mtu")));

  const rekeyed = await examine(moon, environment, "--rekey", "--bundle", "/run/bundle.json");
  assert.deepEqual(rekeyed.of("failure"), ["rekey"], JSON.stringify(rekeyed.results));
  const { message, hint, details } = rekeyed.find("rekey");
  assert.match(message, /^site got no new keys: pfs-mismatch: /);
  assert.match(hint ?? "", /look at IPSEC_ESPCIPHER$/);
  assert.equal(details?.["cause"], "pfs-mismatch");
  assert.equal((await moon.ping(sun.host)).received, 3);
  const after = await examine(moon, environment);
  assert.deepEqual(after.of("failure"), ["diagnosis"]);
  assert.match(after.find("diagnosis").message, /^site: pfs-mismatch/);

  const text = await moon.readFile("/run/bundle.json");
  assertWithoutKey(text);
  assertWithoutKey(JSON.stringify(rekeyed.results));
  assert.equal((await stat(moon.fromOutside("/run/bundle.json"))).mode & 0o777, 0o600);
  const bundle = JSON.parse(text);
  assert.equal(bundle.status.connections[0].state, "up");
  const texts: readonly string[] = bundle.files.map((file: { text: string }) => file.text);
  assert.equal(texts.filter((one) => one.includes("***")).length, 1);
  assert.match(bundle.host.commands["ipsec --version"].stdout, /strongSwan/);
  assert.equal(bundle.host.sysctls["net.ipv4.ip_forward"], "1");
  assert.equal(await stop(gateway), 0);
});

test("ends that agree get new keys; a path that swallows large packets is measured through the tunnel", async () => {
  await using lab = await createLab({ router: true });
  const { moon, sun } = lab;
  await sun.peer({ connections: [{ psk }] });
  const environment = tunnelEnvironment(moon, sun, { IPSEC_START: "start" });
  const gateway = moon.gateway(environment);
  await hasTunnels(gateway);
  await lab.router.run(["nft", "-f", "-"], {
    input: `
table inet swallow {
  chain passing {
    type filter hook forward priority 0; policy accept;
    meta length > 1300 drop
  }
}
`,
  });
  const { find, healthy } = await examine(moon, environment, "--rekey", "--target", sun.host);
  assert.ok(healthy);
  assert.equal(find("rekey").message, "site has new keys");
  assert.equal((await moon.ping(sun.host)).received, 3);
  const mtu = find("mtu");
  assert.equal(mtu.verdict, "warning");
  // IPv4, UDP and ESP around it, of AES-GCM with an ICV of 16 bytes: 62 bytes, the padding to four of them included.
  assert.deepEqual([mtu.details?.["largestPacket"], mtu.details?.["mss"]], [1238, 1198], JSON.stringify(mtu));
  assert.match(mtu.message, /larger ones vanish/);
  assert.match(mtu.hint ?? "", /^set IPSEC_MSS=1198 /);
  // The environment of another tunnel is not that of this gateway.
  const other = await examine(moon, { ...environment, IPSEC_LIFETIME: "2h" });
  assert.deepEqual(other.of("warning"), ["files"]);
  assert.equal(await stop(gateway), 0);
});

test("a wrong key is told as a matter of credentials, and appears in none of the outputs", async () => {
  await using lab = await createLab();
  const { moon, sun } = lab;
  await sun.peer({ connections: [{ psk: Buffer.from("another pre-shared key of more than twenty bytes") }] });
  const environment = tunnelEnvironment(moon, sun, { IPSEC_START: "start" });
  const gateway = moon.gateway(environment);
  await isReady(gateway);
  await gateway.waitForRecord(({ event }) => event === "diagnosis");
  const { of, find, results } = await examine(moon, environment);
  assert.deepEqual(of("failure"), ["credentials", "tunnel"]);
  assert.match(find("credentials").message, /^site: authentication-failed: /);
  assert.match(
    find("credentials").hint ?? "",
    /look at IPSEC_PSK, IPSEC_LOCALID, IPSEC_REMOTEID, IPSEC_AUTH$/,
  );
  assertWithoutKey(JSON.stringify(results));
  const text = moon.gateway(environment, { args: ["doctor"] });
  assert.equal((await text.exited).exitCode, 1);
  assert.match(text.stdout(), /^failure {2}credentials: site: authentication-failed/m);
  assertWithoutKey(text.output());
  assert.equal(await stop(gateway), 0);
});

test("mounted connections are looked at as the daemon has loaded them", async () => {
  await using lab = await createLab();
  const { moon, sun } = lab;
  await sun.peer({ connections: [{ psk }] });
  await moon.writeFile(
    "/etc/ipsec.config.d/ipsec.byhand.conf",
    `conn byhand
  keyexchange=ikev2
  left=192.0.2.1
  leftsubnet=10.1.0.0/24
  right=192.0.2.2
  rightsubnet=10.2.0.0/24
  authby=secret
  auto=start
`,
  );
  await moon.writeFile(
    "/etc/ipsec.secrets.d/ipsec.byhand.secrets",
    `192.0.2.1 192.0.2.2 : PSK "${tunnelPsk}"\n`,
    0o600,
  );
  const environment = { IPSEC_USE_MANUAL_CONFIG: "yes", IPSEC_BACKEND: "stroke" };
  const before = await examine(moon, environment);
  assert.deepEqual([before.of("failure"), before.of("warning")], [[], []], JSON.stringify(before.results));
  assert.ok(before.of("skipped").includes("route"));

  const gateway = moon.gateway(environment);
  await hasTunnels(gateway);
  const options = ["--target", sun.host, "--bundle", "/run/bundle.json"] as const;
  const well = await examine(moon, environment, ...options);
  assert.deepEqual([well.of("failure"), well.of("warning")], [[], []], JSON.stringify(well.results));
  assert.match(well.find("route").message, /^the peer 192\.0\.2\.2 is reached by eth0/);
  assert.match(well.find("tunnel").message, /^byhand to 192\.0\.2\.2 is up/);
  assert.equal(well.find("mtu").verdict, "ok");
  const text = await moon.readFile("/run/bundle.json");
  assert.match(text, /conn byhand/);
  // Nobody has told it the key, so it can only keep away from where it is.
  assertWithoutKey(text);
  assert.equal(await stop(gateway), 0);
});
