import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, fstatSync, openSync, readdirSync, readFileSync, statSync } from "node:fs";
import { test } from "node:test";
import { createLab, type Lab } from "../support/lab.ts";
import { repository } from "../support/repository.ts";
import { swanctlConf } from "../support/swanctl-conf.ts";
import { waitFor } from "../support/wait-for.ts";

const psk = Buffer.from('a key with\0a zero, a "quote" and a # in it');

test("two independent peers carry packets both ways, and between them only IKE and ESP in UDP are seen", async () => {
  await using lab = await createLab();
  const witness = await lab.captureWire();
  const { moon } = await tunnel(lab);

  for (const [from, to] of [
    [lab.moon, lab.sun],
    [lab.sun, lab.moon],
  ] as const) {
    const { sent, received } = await from.ping(to.host, { count: 5 });
    assert.deepEqual({ sent, received }, { sent: 5, received: 5 });
  }

  const packets = await witness.stop();
  const protectedPackets = packets.filter((line) => /ESP\(spi=/.test(line));
  // Ten requests and their ten answers.
  assert.equal(protectedPackets.length, 20, packets.join("\n"));
  const inUdp = protectedPackets.filter((line) => /UDP-encap/.test(line));
  assert.equal(inUdp.length, lab.dataPlane === "userspace" ? protectedPackets.length : 0);
  const others = packets.filter((line) => !protectedPackets.includes(line) && !/isakmp| ARP, /.test(line));
  assert.deepEqual(others, []);

  const [sa] = await moon.sas();
  assert.equal(sa?.name, "site");
  assert.equal(sa.fields.state, "ESTABLISHED");
  assert.deepEqual(
    sa.children.map((child) => [child.state, child["local-ts"], child["remote-ts"]]),
    [["INSTALLED", ["10.1.0.0/24"], ["10.2.0.0/24"]]],
  );
});

test("without a tunnel the same packets are seen in clear, so the capture can testify", async () => {
  await using lab = await createLab();
  const witness = await lab.captureWire("ip net 10.0.0.0/8");
  const { received } = await lab.moon.ping(lab.sun.host, { count: 5, intervalSeconds: 0.002 });
  assert.equal(received, 5);
  const packets = await witness.stop();
  assert.equal(packets.length, 10);
  assert.equal(packets.filter((line) => /10\.1\.0\.1 > 10\.2\.0\.1: ICMP echo request/.test(line)).length, 5);
});

test("a peer that knows another key brings no tunnel up, and both say why", async () => {
  await using lab = await createLab();
  const sun = await lab.sun.peer({ connections: [{ psk }] });
  const moon = await lab.moon.peer({ connections: [{ psk: Buffer.from("another"), startAction: "start" }] });
  await sun.waitForOutput(/tried 1 shared key for .* but MAC mismatched/);
  await moon.waitForOutput(/received AUTHENTICATION_FAILED notify error/);
  assert.deepEqual(await sun.sas(), []);
});

test("IKEv1 peers with several networks have one CHILD SA for each pair", async () => {
  await using lab = await createLab({
    moon: { networks: ["10.1.0.0/24", "10.1.8.0/22"] },
    sun: { networks: ["10.2.0.0/24", "172.16.5.4/32"] },
  });
  const { moon } = await tunnel(lab, { version: 1 });
  for (const host of lab.sun.hosts) {
    for (const from of lab.moon.hosts) {
      await waitFor(`an answer from ${host} to ${from}`, async () => {
        const { received } = await lab.moon.ping(host, { from, count: 1 });
        return received === 1 ? true : undefined;
      });
    }
  }
  const [sa] = await moon.sas();
  assert.deepEqual(sa?.children.map((child) => `${child["local-ts"]} ${child["remote-ts"]}`).sort(), [
    "10.1.0.0/24 10.2.0.0/24",
    "10.1.0.0/24 172.16.5.4/32",
    "10.1.8.0/22 10.2.0.0/24",
    "10.1.8.0/22 172.16.5.4/32",
  ]);
});

test("a peer that was killed starts again in its site, and its tunnel with it", async () => {
  await using lab = await createLab();
  const { moon, sun } = await tunnel(lab);
  await moon.kill();
  const from = sun.output().length;
  await lab.moon.peer({ connections: [{ psk, startAction: "start" }] });
  await sun.waitForTunnel({ from });
  assert.equal((await lab.sun.ping(lab.moon.host)).received, 3);
  assert.equal((await sun.sas()).length, 1);
});

test("a peer's swanctl.conf says the key byte for byte, and whose it is", () => {
  const text = swanctlConf([
    {
      version: 2,
      localAddress: "192.0.2.2",
      remoteAddress: "%any",
      localId: 'C=CH, CN="sun"',
      remoteId: "moon.example.org",
      psk: Uint8Array.of(0, 34, 255, 10),
      localNetworks: ["10.2.0.0/24", "10.2.4.0/24"],
      remoteNetworks: ["10.1.0.0/24"],
      childLines: ["rekey_time = 10s"],
    },
  ]);
  for (const line of [
    /^ {4}secret = 0x0022ff0a$/m,
    /^ {4}id-0 = "C=CH, CN=\\"sun\\""\n {4}id-1 = "moon\.example\.org"\n {4}secret/m,
    /^ {8}local_ts = 10\.2\.0\.0\/24,10\.2\.4\.0\/24$/m,
    /^ {8}rekey_time = 10s$/m,
  ]) {
    assert.match(text, line);
  }
});

test("identities are listed as they are, distinguished names with blanks and equal signs too", async () => {
  await using lab = await createLab();
  const [moonId, sunId] = ["C=CH, O=moon = sun {x}, CN=moon", "sun@example.org"];
  const sun = await lab.sun.peer({ connections: [{ psk, localId: sunId, remoteId: moonId }] });
  const moon = await lab.moon.peer({
    connections: [{ psk, localId: moonId, remoteId: sunId, startAction: "start" }],
  });
  await moon.waitForTunnel();
  const [sa] = await sun.sas();
  assert.equal(sa?.fields["local-id"], sunId);
  assert.equal(sa.fields["remote-id"], moonId);
});

test("a loss of 20 percent drops about one packet in five, counts them, and heals", async () => {
  await using lab = await createLab();
  const loss = await lab.disturb({ kind: "drop", percent: 20, match: "icmp type echo-request" });
  const lossy = await lab.moon.ping(lab.sun.address, { count: 1000, intervalSeconds: 0.001 });
  assert.equal(lossy.sent, 1000);
  // Five standard deviations of a binomial distribution either way: once in a million runs outside.
  const lost = lossy.sent - lossy.received;
  assert.ok(lost > 137 && lost < 263, `${lost} of 1000 lost`);
  assert.equal(await loss.hits(), lost);
  assert.equal(lossy.missing.length, lost);

  await loss.heal();
  const sound = await lab.moon.ping(lab.sun.address, { count: 100, intervalSeconds: 0.001 });
  assert.equal(sound.received, 100);
});

test("a loss of ESP alone spares IKE", async () => {
  await using lab = await createLab();
  await using loss = await lab.disturb({ kind: "drop", percent: 100, match: espOf(lab) });
  await tunnel(lab);
  const { received, missing, longestGapMs } = await lab.moon.ping(lab.sun.host, { count: 3 });
  assert.deepEqual({ received, missing }, { received: 0, missing: [1, 2, 3] });
  // All the time is a gap: two intervals and the wait for the last answer.
  assert.ok(longestGapMs >= 40, `${longestGapMs}`);
  assert.ok((await loss.hits()) >= 3);
});

test("ESP that was corrupted is not delivered, and ESP that was duplicated is delivered once", async () => {
  await using lab = await createLab();
  await tunnel(lab);
  for (const [kind, wanted] of [
    ["corrupt", 0],
    ["duplicate", 10],
  ] as const) {
    await using fault = await lab.disturb({ kind, percent: 100, match: espOf(lab) });
    const { received, duplicates } = await lab.moon.ping(lab.sun.host, { count: 10, intervalSeconds: 0.1 });
    assert.equal(received, wanted);
    assert.ok((await fault.hits()) >= 10);
    assert.equal(duplicates, 0);
  }
});

test("a partition stops everything but what the sender's own capture sees, and its length can be measured", async () => {
  await using lab = await createLab();
  const witness = await lab.moon.capture("icmp");
  const pinging = lab.moon.continuousPing(lab.sun.address, { intervalSeconds: 0.01 });
  await pinging.waitForAnswer();
  const partition = await lab.partition();
  const startMs = Date.now();
  await waitFor("fifty lost packets", async () => ((await partition.hits()) >= 50 ? true : undefined));
  await partition.heal();
  const endMs = Date.now();
  await pinging.waitForAnswer();
  const { sent, received, longestGapMs, missing } = await pinging.stop();

  assert.ok(longestGapMs >= endMs - startMs - 50, `${longestGapMs} of ${endMs - startMs} ms`);
  assert.ok(missing.length >= 50 && received + missing.length === sent, JSON.stringify({ sent, received }));
  const requests = (await witness.stop()).filter((line) => /192\.0\.2\.1 > .* echo request/.test(line));
  assert.equal(requests.length, sent);
});

test("the third of three sites can be cut off alone", async () => {
  await using lab = await createLab({ venus: {} });
  await using _partition = await lab.partition(lab.venus);
  const [toSun, toVenus, fromVenus] = await Promise.all([
    lab.moon.ping(lab.sun.address),
    lab.moon.ping(lab.venus.address),
    lab.venus.ping(lab.sun.address),
  ]);
  assert.deepEqual([toSun.received, toVenus.received, fromVenus.received], [3, 0, 0]);
});

test("a site can be hidden behind the router, and its tunnel then starts at the router's address", async () => {
  await using lab = await createLab({ router: true });
  await lab.masquerade(lab.moon);
  const sun = await lab.sun.peer({
    connections: [{ psk, remoteAddress: "%any", remoteId: lab.moon.address }],
  });
  await lab.moon.peer({ connections: [{ psk, startAction: "start" }] });
  await sun.waitForTunnel();
  const { received } = await lab.sun.ping(lab.moon.host);
  assert.equal(received, 3);
  const [sa] = await sun.sas();
  assert.equal(sa?.fields["remote-host"], "192.0.2.254");
});

test("IPv6 reaches from site to site, by cable and by router", async () => {
  for (const router of [false, true]) {
    await using lab = await createLab({ ipv6: true, router });
    assert.equal((await lab.moon.ping(lab.sun.address6)).received, 3);
    const { moon } = await tunnel(lab, {}, "address6");
    assert.equal((await lab.sun.ping(lab.moon.host)).received, 3);
    assert.equal((await lab.moon.ping(lab.sun.hosts[1] ?? "")).received, 3);
    const [sa] = await moon.sas();
    assert.deepEqual(sa?.children[0]?.["remote-ts"], ["10.2.0.0/24", "2001:db8:2::/64"]);
  }
});

test("a snapshot shows what a tunnel changes, and after it the same as before", async () => {
  await using lab = await createLab();
  const before = await lab.snapshot();
  const { moon, sun } = await tunnel(lab);
  await lab.moon.ping(lab.sun.host);
  assert.notDeepEqual((await lab.snapshot()).moon?.routes, before.moon?.routes);
  await Promise.all([moon.stop(), sun.stop()]);
  assert.deepEqual(await lab.snapshot(), before);

  await lab.moon.run(["ip", "route", "add", "198.51.100.0/24", "dev", "eth0"]);
  await lab.moon.run(["ip", "xfrm", "policy", "add", ..."src 10.9.0.0/24 dst 10.8.0.0/24 dir in".split(" ")]);
  const { moon: changed } = await lab.snapshot();
  assert.equal(changed?.routes.length, (before.moon?.routes.length ?? 0) + 1);
  assert.match(changed?.policies.join() ?? "", /^src 10\.9\.0\.0\/24 dst 10\.8\.0\.0\/24 dir in /);
});

test("each site has an /etc and a /run of its own, and nothing else can be written", async () => {
  await using lab = await createLab();
  await lab.moon.writeFile("/etc/ipsec.config.d/a.conf", "moon's", 0o600);
  await lab.moon.writeFile("/var/run/b", "moon's");
  assert.equal(await lab.moon.run(["cat", "/etc/ipsec.config.d/a.conf", "/run/b"]), "moon'smoon's");
  assert.equal(await lab.moon.run(["stat", "-c", "%a", "/etc/ipsec.config.d/a.conf"]), "600\n");
  assert.equal(await lab.moon.readFile("/run/b"), "moon's");
  const elsewhere = await lab.sun.exec(["cat", "/run/b"]);
  assert.equal(elsewhere.exitCode, 1);
  assert.throws(() => statSync("/run/b"));
  await assert.rejects(lab.moon.writeFile("/tmp/b", ""), /only \/etc and \/run/);
  await assert.rejects(lab.moon.writeFile("/etc/../tmp/b", ""), /only \/etc and \/run/);
});

test("what the image ships below /etc is there, and what an image would not install is off", async () => {
  await using lab = await createLab();
  assert.equal(
    await lab.moon.readFile("/etc/ipsec.secrets"),
    readFileSync(`${repository}/rootfs/etc/ipsec.secrets`, "utf8"),
  );
  assert.equal(await lab.moon.run(["stat", "-c", "%a %U", "/etc/ipsec.secrets"]), "600 root\n");
  for (const plugin of ["farp", "bypass-lan", "forecast", "connmark", "ha"]) {
    assert.match(await lab.moon.readFile(`/etc/strongswan.d/charon/${plugin}.conf`), /^\s*load = no$/m);
  }
});

test("the gateway's environment is what the test gives, a search path and the data plane", async (context) => {
  await using lab = await createLab();
  const environment = process.env;
  const before = environment.VNF_IPSEC_COMMAND;
  context.after(() => {
    if (before === undefined) {
      delete environment.VNF_IPSEC_COMMAND;
    } else {
      environment.VNF_IPSEC_COMMAND = before;
    }
  });
  environment.VNF_IPSEC_COMMAND = "env -0";
  const gateway = lab.moon.gateway({ IPSEC_PSK: "a\nb" }, { args: [] });
  await gateway.exited;
  const variables = gateway.stdout().split("\0").sort();
  assert.deepEqual(
    variables.map((variable) => variable.replace(/^PATH=.*/, "PATH=")),
    ["", `IPSEC_DATAPLANE=${lab.dataPlane}`, "IPSEC_PSK=a\nb", "PATH="],
  );
});

test("a process is known by the host's process id, its records, its signals and its end", async () => {
  await using lab = await createLab();
  const script = `
    trap 'echo "{\\"event\\":\\"asked\\"}"; echo done >&2; exit 7' TERM
    printf '{"event":'; echo '"started","pid":'$$'}'
    echo not json
    while :; do read -t 0.01 <> <(:); done`;
  const running = lab.moon.spawn(["bash", "-c", script]);
  const started = await running.waitForRecord((record) => record.event === "started");
  assert.equal(started.pid, running.pid);
  assert.ok(running.signal("SIGTERM"));
  await running.waitForRecord((record) => record.event === "asked");
  assert.deepEqual(await running.exited, { exitCode: 7, signal: null });
  assert.equal(running.signal("SIGTERM"), false);
  assert.equal(running.records().length, 2);
  assert.equal(running.stderr(), "done\n");

  // What was written last is not lost to a busy test process.
  const outputs = await Promise.all(Array.from({ length: 40 }, () => lab.moon.run(["seq", "20000"])));
  assert.ok(outputs.every((output) => output.endsWith("\n20000\n")));

  const orphaning = lab.moon.spawn(["bash", "-c", "sleep 1000 & echo here; exec sleep 1000"]);
  await orphaning.waitForOutput(/here/);
  assert.deepEqual(await orphaning.kill(), { exitCode: null, signal: "SIGKILL" });
});

test("a wait in vain shows what everything in the lab said", async () => {
  await using lab = await createLab();
  const sun = lab.sun.spawn(["bash", "-c", "echo words of sun; exec sleep 1000"]);
  await sun.waitForOutput(/sun/);
  const moon = lab.moon.spawn(["bash", "-c", "echo words of moon; exec sleep 1000"]);
  const late = moon.waitForOutput(/never/, { timeoutMs: 100 });
  await assert.rejects(late, /waited 100 ms for output like \/never\/.*words of moon.*words of sun/s);
  const ended = lab.moon.spawn(["bash", "-c", "echo short; exit 3"]);
  await assert.rejects(
    ended.waitForOutput(/never/),
    /ended before output like \/never\/.*ended with 3.*short/s,
  );
  await assert.rejects(lab.moon.run(["bash", "-c", "echo why >&2; exit 4"]), /ended with 4\nwhy/);
  await assert.rejects(lab.moon.exec(["sleep", "1000"], { timeoutMs: 50 }), /did not end within 50 ms/);
});

test("a destroyed lab leaves no process, no namespace and no mount", async () => {
  const mounts = readFileSync("/proc/self/mountinfo", "utf8");
  await using lab = await createLab({ venus: {} });
  await tunnel(lab);
  await lab.moon.run(["bash", "-c", "setsid sleep 1000 >/dev/null 2>&1 & ip netns add inner"]);
  using namespaces = holdNamespaces([lab.moon.pid, lab.sun.pid, lab.venus.pid, lab.router.pid]);
  assert.ok(namespaces.processes().length >= 7);

  await lab.destroy();
  assert.deepEqual(namespaces.processes(), []);
  assert.equal(readFileSync("/proc/self/mountinfo", "utf8"), mounts);
  await lab.destroy();
});

test("a test process that is killed leaves nothing, its grandchildren included", async (context) => {
  const child = spawn(process.execPath, ["--input-type=module", "--eval", forgetfulTest], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  context.after(() => child.kill("SIGKILL"));
  const [line] = await once(child.stdout.setEncoding("utf8"), "data");
  using namespaces = holdNamespaces(JSON.parse(line));
  assert.ok(namespaces.processes().length >= 5);

  child.kill("SIGKILL");
  await waitFor("the end of everything", () => (namespaces.processes().length === 0 ? true : undefined), {
    explain: () => namespaces.processes().map(commandOf).join("\n"),
  });
});

const forgetfulTest = `
  import { createLab } from "${repository}/test/support/lab.ts";
  const lab = await createLab();
  await lab.moon.peer({ connections: [{ psk: Buffer.from("x") }] });
  await lab.sun.spawn(["bash", "-c", "setsid setsid sleep 1000 & sleep 1000 & echo here; wait"]).waitForOutput(/here/);
  console.log(JSON.stringify([lab.moon.pid, lab.sun.pid]));
`;

/** In UDP, the four zero bytes of RFC 3948 2.2 mark IKE on port 4500; anything else there is ESP. */
const espOf = (lab: Lab): string =>
  lab.dataPlane === "kernel" ? "ip protocol esp" : "udp dport 4500 @th,64,32 != 0";

const tunnel = async (
  lab: Lab,
  { version = 2 }: { version?: 1 | 2 } = {},
  endpoint: "address" | "address6" = "address",
) => {
  const ends = (from: Lab["moon"], to: Lab["moon"]) => ({
    psk,
    version,
    localAddress: from[endpoint],
    remoteAddress: to[endpoint],
  });
  const sun = await lab.sun.peer({ connections: [ends(lab.sun, lab.moon)] });
  const moon = await lab.moon.peer({ connections: [{ ...ends(lab.moon, lab.sun), startAction: "start" }] });
  await Promise.all([moon.waitForTunnel(), sun.waitForTunnel()]);
  return { moon, sun };
};

/** Who is in the network or mount namespaces of these processes. Held open, their inode numbers go to nobody else. */
const holdNamespaces = (pids: readonly number[]) => {
  const descriptors = pids.flatMap((pid) =>
    ["net", "mnt"].map((kind) => openSync(`/proc/${pid}/ns/${kind}`, "r")),
  );
  const inodes = new Set(descriptors.map((descriptor) => fstatSync(descriptor).ino));
  return {
    processes: () =>
      readdirSync("/proc").filter(
        (entry) =>
          /^\d+$/.test(entry) &&
          ["net", "mnt"].some((kind) => inodes.has(inodeOf(`/proc/${entry}/ns/${kind}`))),
      ),
    [Symbol.dispose]: () => descriptors.forEach(closeSync),
  };
};

/** 0 for a process that has ended meanwhile, or that even root may not look into. */
const inodeOf = (path: string): number => {
  try {
    return statSync(path).ino;
  } catch {
    return 0;
  }
};

const commandOf = (pid: string): string => `${pid} ${readFileSync(`/proc/${pid}/cmdline`, "utf8")}`;
