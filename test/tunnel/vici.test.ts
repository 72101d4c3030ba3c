import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { connectVici, type ViciClient } from "../../src/vici/client.ts";
import { listOf, type Message, sectionOf, sectionsOf, textOf } from "../../src/vici/message.ts";
import { requireSuccess, type ViciError } from "../../src/vici/vici-error.ts";

// A charon of its own, in namespaces of its own: no address outside leads to it, and none of its files outlive it.
let charon: ChildProcess;
let directory: string;
let socketPath: string;
let vici: ViciClient;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), "vici-charon-"));
  socketPath = join(directory, "charon.vici");
  charon = await startCharon();
  vici = await connectVici(socketPath);
});

after(async () => {
  vici.close();
  if (charon.exitCode === null && charon.signalCode === null) {
    charon.kill("SIGKILL");
    await once(charon, "exit");
  }
  await rm(directory, { recursive: true });
});

test("charon tells its version", async () => {
  const version = await vici.request("version");
  assert.equal(textOf(version, "daemon"), "charon");
  assert.match(textOf(version, "version") ?? "", /^[56]\.\d+\.\d+/);
});

test("charon's statistics come with their sections and the list of plugins", async () => {
  const stats = await vici.request("stats");
  assert.match(textOf(sectionOf(stats, "workers") ?? {}, "total") ?? "", /^\d+$/);
  assert.ok(listOf(stats, "plugins").includes("vici"));
});

test("a connection that is loaded is listed, and one that charon refuses is refused with its words", async () => {
  requireSuccess("load-conn", await vici.request("load-conn", { moon: connection }));
  const [listed] = await collect(vici.stream("list-conns", "list-conn", { ike: "moon" }));
  const [[name, moon] = ["", {}]] = sectionsOf(listed);
  assert.equal(name, "moon");
  assert.equal(textOf(moon, "version"), "IKEv2");
  assert.deepEqual(listOf(moon, "remote_addrs"), ["192.0.2.2"]);
  const net = sectionOf(sectionOf(moon, "children") ?? {}, "net") ?? {};
  assert.deepEqual(listOf(net, "remote-ts"), ["10.2.0.0/24", "10.3.0.0/24"]);

  const refused = await vici.request("load-conn", { bad: { ...connection, remote: { auth: "coffee" } } });
  assert.throws(() => requireSuccess("load-conn", refused), {
    name: "ViciError",
    kind: "refused",
    message: "charon refused load-conn: invalid value for: auth, config discarded",
  });
  requireSuccess("unload-conn", await vici.request("unload-conn", { name: "moon" }));
  assert.deepEqual(await collect(vici.stream("list-conns", "list-conn")), []);
});

test("five hundred connections, asked for at once, are all loaded and all listed", async () => {
  const names = Array.from({ length: 500 }, (_, index) => `conn-${index}`);
  const loaded = await Promise.all(names.map((name) => vici.request("load-conn", { [name]: connection })));
  for (const response of loaded) requireSuccess("load-conn", response);
  const listed = await collect(vici.stream("list-conns", "list-conn"));
  assert.deepEqual(listed.flatMap((message) => Object.keys(message)).toSorted(), names.toSorted());
  for (const name of names) requireSuccess("unload-conn", await vici.request("unload-conn", { name }));
});

test("a shared secret may hold any byte", async () => {
  const data = Uint8Array.from({ length: 256 }, (_, byte) => byte);
  const response = await vici.request("load-shared", {
    id: "any-byte",
    type: "IKE",
    data,
    owners: ["192.0.2.2"],
  });
  requireSuccess("load-shared", response);
  assert.deepEqual(listOf(await vici.request("get-shared"), "keys"), ["any-byte"]);
  requireSuccess("unload-shared", await vici.request("unload-shared", { id: "any-byte" }));
});

test("a certificate comes back byte for byte when its list is asked for as latin1", async () => {
  requireSuccess(
    "load-cert",
    await vici.request("load-cert", { type: "X509", flag: "NONE", data: certificate }),
  );
  const [listed] = await collect(vici.stream("list-certs", "list-cert", {}, { encoding: "latin1" }));
  assert.deepEqual(Buffer.from(textOf(listed ?? {}, "data") ?? "", "latin1"), certificate);
});

test("a subscriber hears charon's log, and no more of it once unsubscribed", async () => {
  const logged: Message[] = [];
  const heard = Promise.withResolvers<void>();
  const unsubscribe = await vici.subscribe("log", (message) => {
    logged.push(message);
    if (textOf(message, "msg")?.includes("'heard'")) heard.resolve();
  });
  await vici.request("load-shared", { id: "heard", type: "IKE", data: "secret" });
  await heard.promise;
  const line = logged.find((message) => textOf(message, "msg")?.includes("'heard'")) ?? {};
  assert.equal(textOf(line, "group"), "CFG");
  assert.equal(textOf(line, "level"), "1");
  await unsubscribe();
  const before = logged.length;
  await vici.request("load-shared", { id: "unheard", type: "IKE", data: "secret" });
  assert.equal(logged.length, before);
  requireSuccess("clear-creds", await vici.request("clear-creds"));
});

test("IKE SAs are heard to come up and go on one connection while another commands them", async () => {
  const commands = await connectVici(socketPath);
  const updowns: string[] = [];
  const allHeard = Promise.withResolvers<void>();
  const unsubscribe = await vici.subscribe("ike-updown", (message) => {
    for (const [name] of sectionsOf(message)) updowns.push(`${name} ${textOf(message, "up") ?? "gone"}`);
    if (updowns.length === 4) allHeard.resolve();
  });
  const secret = { id: "itself", type: "IKE", data: Buffer.from([0, 255, 10, 34]) };
  requireSuccess("load-shared", await commands.request("load-shared", secret));
  requireSuccess(
    "load-conn",
    await commands.request("load-conn", { here: toItself("192.0.2.1", "192.0.2.2") }),
  );
  requireSuccess(
    "load-conn",
    await commands.request("load-conn", { there: toItself("192.0.2.2", "192.0.2.1") }),
  );

  const initiation = commands.stream("initiate", "control-log", { ike: "here", timeout: "5000" });
  const log: string[] = [];
  let step = await initiation.next();
  for (; step.done !== true; step = await initiation.next()) log.push(textOf(step.value, "msg") ?? "");
  requireSuccess("initiate", step.value);
  assert.ok(
    log.some((line) => line.includes("initiating IKE_SA here")),
    log.join("\n"),
  );

  const sas = await collect(commands.stream("list-sas", "list-sa"));
  const states = sas.flatMap(sectionsOf).map(([name, sa]) => `${name} ${textOf(sa, "state")}`);
  assert.deepEqual(states.toSorted(), ["here ESTABLISHED", "there ESTABLISHED"]);

  requireSuccess("terminate", await commands.request("terminate", { ike: "here", timeout: "5000" }));
  await allHeard.promise;
  assert.deepEqual(updowns.toSorted(), ["here gone", "here yes", "there gone", "there yes"]);
  await unsubscribe();
  commands.close();
});

test("what charon does not know is a fault of its own and the connection goes on", async () => {
  await assert.rejects(vici.request("make-coffee"), { name: "ViciError", kind: "unknown-command" });
  await assert.rejects(
    vici.subscribe("coffee-ready", () => {}),
    { name: "ViciError", kind: "unknown-event" },
  );
  assert.equal(textOf(await vici.request("version"), "daemon"), "charon");
});

test("a charon that hangs ends the connection in time, and answers a new one once it goes on", async () => {
  const hung = await connectVici(socketPath, { timeoutMs: 100 });
  await hung.request("version");
  try {
    await stop(charon);
    await assert.rejects(hung.request("stats"), { name: "ViciError", kind: "timeout" });
    assert.equal((await hung.closed)?.kind, "timeout");
  } finally {
    charon.kill("SIGCONT");
  }
  const again = await connectVici(socketPath);
  await again.request("version");
  again.close();
});

test("a charon that is killed closes the connection, rejects what is pending and leaves a socket that nobody serves", async () => {
  const doomed = await connectVici(socketPath);
  await stop(charon);
  const pending = doomed.request("stats");
  const exited = once(charon, "exit");
  charon.kill("SIGKILL");
  await assert.rejects(pending, { name: "ViciError", kind: "closed" });
  assert.equal((await doomed.closed)?.kind, "closed");
  // A dying process closes its files one by one; until the last the listening socket may still take a connection.
  await exited;
  await assert.rejects(connectVici(socketPath), (error: ViciError) => {
    assert.equal((error.cause as NodeJS.ErrnoException).code, "ECONNREFUSED");
    return error.kind === "unreachable";
  });
});

const connection = {
  version: "2",
  local_addrs: ["192.0.2.1"],
  remote_addrs: ["192.0.2.2"],
  local: { auth: "psk", id: "192.0.2.1" },
  remote: { auth: "psk", id: "192.0.2.2" },
  children: { net: { local_ts: ["10.1.0.0/24"], remote_ts: ["10.2.0.0/24", "10.3.0.0/24"] } },
};

/** Without CHILD SA (RFC 6023), so that no kernel support for ESP is needed. */
const toItself = (local: string, remote: string) => ({
  version: "2",
  childless: "force",
  local_addrs: [local],
  remote_addrs: [remote],
  local: { auth: "psk", id: local },
  remote: { auth: "psk", id: remote },
});

/** A self-signed ECDSA certificate, CN=vici, made by pki(1). */
const certificate = Buffer.from(
  "MIIBEDCBuKADAgECAgh4w4mtsuciuDAKBggqhkjOPQQDAjAPMQ0wCwYDVQQDEwR2aWNpMB4XDTI2MTEyMzEyMjc1M1oXDTkwMDkyMzA1NTkz" +
    "N1owDzENMAsGA1UEAxMEdmljaTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABOau+Ijtxq8M357sjmRzs2aoYbVRk1QZW5NRsupwfc0zxOFj" +
    "J66qiHMCL70LCX16KkRukYQ1qFLQqAyjaLaYvccwCgYIKoZIzj0EAwIDRwAwRAIgSAdgN5a7uUnuTG2WXyJ5b6UDHlJihEF0iO/QUoDl8YYC" +
    "IHJLuxbMPNWIZvV3AE7PXsXtdq6Z72hS8fPqyI5dYIFt",
  "base64",
);

const collect = async (stream: AsyncIterable<Message>): Promise<Message[]> => {
  const messages: Message[] = [];
  for await (const message of stream) messages.push(message);
  return messages;
};

/** Resolves when every thread has stopped; the signal alone lets some answer still. */
async function stop(child: ChildProcess): Promise<void> {
  child.kill("SIGSTOP");
  const tasks = `/proc/${child.pid}/task`;
  for (let running = true; running; ) {
    const states = (await readdir(tasks)).map((task) => readFile(join(tasks, task, "status"), "utf8"));
    running = (await Promise.all(states)).some((status) => !/^State:\tT/m.test(status));
  }
}

/** Resolves when charon's threads run; its pid is that of the process, for unshare(1) and sh(1) only lead up to it. */
async function startCharon(): Promise<ChildProcess> {
  const configuration = join(directory, "strongswan.conf");
  await writeFile(
    configuration,
    `charon {
      load = random nonce aes sha1 sha2 hmac kdf gcm openssl pem pkcs1 pubkey x509 kernel-netlink socket-default vici
      install_routes = no
      plugins { vici { socket = unix://${socketPath} } }
      filelog { stderr { default = 1 } }
    }`,
  );
  const script = [
    "mount -t tmpfs tmpfs /run",
    "ip link set lo up",
    "ip address add 192.0.2.1/32 dev lo",
    "ip address add 192.0.2.2/32 dev lo",
    "exec /usr/lib/ipsec/charon",
  ].join(" && ");
  const child = spawn("unshare", ["--net", "--mount", "--propagation", "private", "sh", "-c", script], {
    env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", STRONGSWAN_CONF: configuration },
    stdio: ["ignore", "ignore", "pipe"],
  });
  const lines: string[] = [];
  const running = Promise.withResolvers<void>();
  createInterface({ input: child.stderr }).on("line", (line) => {
    lines.push(line);
    if (/spawning \d+ worker threads/.test(line)) running.resolve();
  });
  child.once("error", running.reject);
  child.once("exit", () => running.reject(new Error(`charon did not start:\n${lines.join("\n")}`)));
  await running.promise;
  return child;
}
