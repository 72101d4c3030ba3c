import assert from "node:assert/strict";
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import type { Backend } from "../../src/backend/backend.ts";
import { backends } from "../../src/backend/backends.ts";
import { loadSettings } from "../../src/commands/load-settings.ts";
import { askDaemon } from "../../src/daemon/ask-daemon.ts";
import { buildGateway } from "../../src/gateway/from-settings.ts";
import type { Connection } from "../../src/gateway/gateway.ts";
import type { Endpoint } from "../../src/ipsec/address.ts";
import { loadTemplates } from "../../src/load-templates.ts";
import { connectVici, type ViciClient } from "../../src/vici/client.ts";
import { type Message, sectionOf, sectionsOf } from "../../src/vici/message.ts";
import { environmentOfCase } from "../support/golden-case.ts";
import { repository } from "../support/repository.ts";
import { waitFor } from "../support/wait-for.ts";

// The connection of each golden case in two real charons: one got it from starter, the other over vici.
const cases = join(repository, "test/golden/cases");
const connections = await connectionsOfCases();
const directory = await mkdtemp(join(tmpdir(), "vnf-ipsec-backends-"));
const daemons: ChildProcess[] = [];
let stroke: ViciClient;
let swanctl: ViciClient;

before(async () => {
  stroke = await start("stroke", [
    "/usr/lib/ipsec/starter",
    ...["--daemon", "charon", "--nofork", "--conf", join(directory, "ipsec.conf")],
  ]);
  swanctl = await start("swanctl", ["/usr/lib/ipsec/charon"]);
});

after(async () => {
  for (const vici of [stroke, swanctl]) vici?.close();
  for (const daemon of daemons) {
    if (daemon.exitCode !== null || daemon.signalCode !== null) continue;
    // starter ends its charon, and kills it after eight seconds (starter.c, invokecharon.c).
    daemon.kill("SIGTERM");
    await once(daemon, "exit");
  }
  await rm(directory, { recursive: true, force: true });
});

test("ipsec.conf and vici give charon the same connections, for every golden case", async () => {
  const byStarter = await waitFor("starter to load everything", async () => {
    const listed = await childrenListed(stroke);
    // The trap of the last may be listed when it was not yet listed itself.
    return childNames().every((name) => listed.get(name)?.["children"]) ? listed : undefined;
  });
  await askDaemon({ vici: swanctl }, backends.swanctl.load(connections), noProgram);
  const overVici = await childrenListed(swanctl);
  assert.deepEqual([...overVici.keys()].sort(), childNames().sort());
  for (const name of childNames()) assert.deepEqual(overVici.get(name), byStarter.get(name), name);
});

test("swanctl --load-all gives charon the same from the rendered files as our requests do", async () => {
  const overVici = await childrenListed(swanctl);
  for (const connection of connections)
    await askDaemon({ vici: swanctl }, backends.swanctl.unload(connection), noProgram);
  assert.deepEqual([...(await childrenListed(swanctl)).keys()], []);
  const { stdout } = await promisify(execFile)("swanctl", [
    ...["--load-all", "--noprompt", "--clear", "--uri", `unix://${join(directory, "swanctl.vici")}`],
    // Certificates and keys are sought beside it.
    ...["--file", join(directory, "etc/swanctl/swanctl.conf")],
  ]);
  assert.match(stdout, new RegExp(`successfully loaded ${connections.length} connections, 0 unloaded`));
  assert.deepEqual(await childrenListed(swanctl), overVici);
});

const noProgram = () => assert.fail("swanctl's backend runs no program");

const childNames = (): string[] => connections.flatMap(({ children }) => children.map(({ name }) => name));

/**
 * What charon says of each CHILD SA and the connection that it belongs to. starter's charon keeps peers that are alike
 * together, under the name of the first, so the names of connections are left out.
 */
const childrenListed = async (vici: ViciClient): Promise<ReadonlyMap<string, Message>> => {
  const found = new Map<string, Message>();
  for await (const message of vici.stream("list-conns", "list-conn")) {
    for (const [, connection] of sectionsOf(message)) {
      for (const [name, child] of sectionsOf(sectionOf(connection, "children")))
        found.set(name, { ...connection, children: { child } });
    }
  }
  const trapped = vici.stream("list-policies", "list-policy", { trap: "yes" });
  for await (const message of trapped) {
    for (const [, policy] of sectionsOf(message)) {
      const name = String(policy["child"]);
      const { child, ike, ...rest } = policy;
      found.set(name, { ...found.get(name), trap: rest });
    }
  }
  return found;
};

async function connectionsOfCases(): Promise<readonly Connection[]> {
  const names = (await readdir(cases)).filter((name) => !name.startsWith("swanctl-"));
  const connections = await Promise.all(
    names.map(async (name) => {
      const { settings } = await loadSettings(environmentOfCase(join(cases, name)), "gateway");
      return buildGateway(settings).connections;
    }),
  );
  return connections.flat().map((connection, index) => ({
    ...connection,
    name: `case-${index}`,
    // starter's charon takes two with the same ends for one, with the dead peer detection of the first.
    local: { ...connection.local, endpoint: distinctAddress(connection.local.endpoint, index) },
    // A gateway has one policy for all, and ipsec.conf no other way to say it.
    authentication:
      connection.authentication.method === "psk"
        ? connection.authentication
        : { ...connection.authentication, revocation: "strict" },
    children: connection.children.map((child, position) => ({
      ...child,
      name: `case-${index}_${position}`,
    })),
  }));
}

function distinctAddress(endpoint: Endpoint, index: number): Endpoint {
  return endpoint.kind === "address" && endpoint.address.family === "ipv4"
    ? { kind: "address", address: { family: "ipv4", text: `192.0.2.${index + 1}` } }
    : endpoint;
}

async function start(name: Backend["name"], command: readonly string[]): Promise<ViciClient> {
  const options = {
    templates: loadTemplates(),
    dataplane: "kernel",
    showSecrets: true,
  } as const;
  const files = connections.flatMap((connection) => backends[name].connectionFiles(connection, options));
  // Certificates and private keys are where they are, but below the directory.
  for (const { path, text } of files.filter((file) => /\.(?:crt|key|pem)$/.test(file.path))) {
    await mkdir(dirname(join(directory, path)), { recursive: true });
    await writeFile(join(directory, path), text);
  }
  const texts = (suffix: string): string =>
    files
      .filter(({ path }) => path.endsWith(suffix))
      .map(({ text }) => text.replaceAll(/(?<=[= ])(?=\/etc\/ipsec\.)/g, directory))
      .join("\n");
  const secrets = join(directory, "ipsec.secrets");
  if (name === "stroke") {
    await writeFile(join(directory, "ipsec.conf"), texts(".conf"));
    await writeFile(secrets, texts(".secrets"));
  } else await writeFile(join(directory, "etc/swanctl/swanctl.conf"), texts(".conf"));
  const socket = join(directory, `${name}.vici`);
  const configuration = join(directory, `${name}.strongswan.conf`);
  await writeFile(
    configuration,
    `charon {
      load = random nonce aes sha1 sha2 hmac kdf gcm openssl pem pkcs1 pkcs8 pubkey x509 constraints kernel-netlink socket-default vici ${name === "stroke" ? "stroke" : ""}
      plugins {
        vici { socket = unix://${socket} }
        stroke {
          secrets_file = ${secrets}
          allow_swap = no
        }
      }
      filelog { log { path = ${join(directory, `${name}.log`)} } }
    }`,
  );
  const script = 'mount -t tmpfs tmpfs /run && ip link set lo up && exec "$@"';
  const daemon = spawn(
    "unshare",
    ["--net", "--mount", "--propagation", "private", "sh", "-c", script, "sh", ...command],
    {
      env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", STRONGSWAN_CONF: configuration },
      stdio: "ignore",
    },
  );
  daemons.push(daemon);
  return await waitFor(`${name}'s charon to answer`, async () => connectVici(socket).catch(() => undefined), {
    explain: () => `it ended with ${daemon.exitCode}`,
  });
}
