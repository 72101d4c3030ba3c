import assert from "node:assert/strict";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { rendered } from "../support/backend-under-test.ts";
import { createLab, type Lab } from "../support/lab.ts";
import { mountedCharonConf } from "../support/mounted-charon-conf.ts";
import {
  diagnoses,
  hasTunnels,
  isReady,
  reload,
  stop,
  tunnelEnvironment,
  tunnelPsk,
} from "../support/our-gateway.ts";
import type { Peer } from "../support/peer.ts";
import { swanctlConf } from "../support/swanctl-conf.ts";
import { waitFor } from "../support/wait-for.ts";

const psk = Buffer.from(tunnelPsk);

/** A connection as an operator writes it by hand. */
const conn = (name: string, lines: readonly string[] = []): string => `conn ${name}
  keyexchange=ikev2
  left=192.0.2.1
  leftsubnet=10.1.0.0/24
  right=192.0.2.2
  rightsubnet=10.2.0.0/24
  authby=secret
  ike=aes256-sha256-modp2048!
  esp=aes256-sha256!
  auto=start
${lines.map((line) => `  ${line}\n`).join("")}`;

const secrets = `192.0.2.1 192.0.2.2 : PSK "${tunnelPsk}"\n`;

const proposals = { proposals: "aes256-sha256-modp2048", espProposals: "aes256-sha256" };

/** Told from ours by what it names. */
const charonConf = (lab: Lab): string => mountedCharonConf(lab, ["retransmit_tries = 7"]);

test("with IPSEC_USE_MANUAL_CONFIG mounted connections and secrets are used, and nothing of them is rewritten", async () => {
  for (const directory of ["/etc/ipsec.secrets.d", "/etc/ipsec.secrets.de"]) {
    await using lab = await createLab();
    await lab.moon.writeFile("/etc/ipsec.config.d/ipsec.x.conf", conn("x"), 0o640);
    await lab.moon.writeFile(`${directory}/ipsec.x.secrets`, secrets, 0o400);
    const before = await filesOf(lab);
    await lab.sun.peer({ connections: [{ psk, ...proposals }] });
    // What it says of the connection counts for nothing.
    const moon = lab.moon.gateway({ IPSEC_USE_MANUAL_CONFIG: "yes", IPSEC_REMOTENET: "10.9.0.0/24" });
    await isReady(moon);
    await hasTunnels(moon);
    await pingBothWays(lab);
    const during = await filesOf(lab);
    assert.deepEqual(differing(before, during), ["strongswan.d/charon.conf"]);
    assert.equal(await stop(moon), 0);
    assert.deepEqual(await filesOf(lab), before);
    assert.deepEqual(diagnoses(moon), []);
  }
});

test("with IPSEC_MANUAL_CHARON the mounted charon.conf is used, under a connection from the variables", async () => {
  await using lab = await createLab();
  await lab.moon.writeFile("/etc/strongswan.d/charon.conf", charonConf(lab), 0o640);
  const before = await filesOf(lab);
  await lab.sun.peer({ connections: [{ psk }] });
  const moon = lab.moon.gateway(
    tunnelEnvironment(lab.moon, lab.sun, { IPSEC_MANUAL_CHARON: "yes", IPSEC_START: "start" }),
  );
  await isReady(moon);
  await hasTunnels(moon);
  await pingBothWays(lab);
  const written = [...new Set([rendered.connection, rendered.key])].map((path) => path.slice("/etc/".length));
  assert.deepEqual(differing(before, await filesOf(lab)), written);
  assert.equal(await stop(moon), 0);
  assert.deepEqual(await filesOf(lab), before);
});

test("with both, with an ipsec.conf, an ipsec.secrets and plugins' files of the operator's own, nothing is written", async () => {
  await using lab = await createLab();
  await lab.moon.writeFile("/etc/ipsec.conf", `config setup\n  uniqueids=never\n\n${conn("by-hand")}`, 0o600);
  await lab.moon.writeFile("/etc/ipsec.secrets", `# by hand\n${secrets}`, 0o640);
  await lab.moon.writeFile("/etc/strongswan.d/charon.conf", charonConf(lab), 0o600);
  await lab.moon.writeFile(
    "/etc/strongswan.d/charon/farp.conf",
    "# by hand\nfarp {\n  load = yes\n}\n",
    0o600,
  );
  const before = await filesOf(lab);
  await lab.sun.peer({ connections: [{ psk, ...proposals }] });
  const moon = lab.moon.gateway({ IPSEC_USE_MANUAL_CONFIG: "yes", IPSEC_MANUAL_CHARON: "yes" });
  await isReady(moon);
  await hasTunnels(moon);
  await pingBothWays(lab);
  assert.match(moon.output(), /loaded plugins: [^"]*\bfarp\b/);
  assert.deepEqual(await filesOf(lab), before);
  assert.equal(await stop(moon), 0);
  assert.deepEqual(await filesOf(lab), before);
});

test("an ipsec.conf, an ipsec.secrets and plugins' files of the operator's own survive a connection from the variables", async () => {
  await using lab = await createLab();
  await lab.moon.writeFile(
    "/etc/ipsec.conf",
    "config setup\n  uniqueids=never\n\ninclude /etc/ipsec.config.d/*.conf\n",
    0o600,
  );
  await lab.moon.writeFile("/etc/ipsec.secrets", "include /etc/ipsec.secrets.d/*.secrets\n", 0o640);
  await lab.moon.writeFile(
    "/etc/strongswan.d/charon/farp.conf",
    "# by hand\nfarp {\n  load = yes\n}\n",
    0o600,
  );
  // Beside ours, and another's.
  await lab.moon.writeFile(
    "/etc/ipsec.config.d/ipsec.other.conf",
    conn("other", ["rightsubnet=10.8.0.0/24", "auto=ignore"]),
  );
  const before = await filesOf(lab);
  await lab.sun.peer({ connections: [{ psk }] });
  const moon = lab.moon.gateway(tunnelEnvironment(lab.moon, lab.sun, { IPSEC_START: "start" }));
  await isReady(moon);
  await hasTunnels(moon);
  await pingBothWays(lab);
  assert.match(moon.output(), /loaded plugins: [^"]*\bfarp\b/);
  assert.equal(await stop(moon), 0);
  assert.deepEqual(await filesOf(lab), before);
});

test("with IPSEC_USE_MANUAL_CONFIG a HUP picks up what was mounted meanwhile, and spares the tunnel that was there", async () => {
  await using lab = await createLab({ moon: { networks: ["10.1.0.0/24", "10.1.8.0/22"] } });
  const sun = await lab.sun.peer({});
  await sun.load(twoConnections(lab));
  await lab.moon.writeFile("/etc/ipsec.config.d/ipsec.x.conf", conn("x"));
  await lab.moon.writeFile("/etc/ipsec.secrets.de/ipsec.x.secrets", secrets, 0o600);
  const moon = lab.moon.gateway({ IPSEC_USE_MANUAL_CONFIG: "yes" });
  await isReady(moon);
  await hasTunnels(moon);
  const spi = await spiOf(sun, "10.1.0.0/24");

  await lab.moon.writeFile(
    "/etc/ipsec.config.d/ipsec.y.conf",
    conn("y", ["leftsubnet=10.1.8.0/22", "leftid=y.example.org"]),
  );
  await lab.moon.writeFile(
    "/etc/ipsec.secrets.d/ipsec.y.secrets",
    'y.example.org 192.0.2.2 : PSK "another key, which only a HUP makes known"\n',
    0o600,
  );
  await reload(moon);
  await hasTunnels(moon, 2);
  const from = lab.moon.hosts[1] ?? "";
  await waitFor("an answer through the second tunnel", async () =>
    (await lab.moon.ping(lab.sun.host, { from, count: 1 })).received === 1 ? true : undefined,
  );
  assert.equal(await spiOf(sun, "10.1.0.0/24"), spi);
  assert.equal(await stop(moon), 0);
});

test("a mounted connection with a mistake is told with its place, and the gateway stays up for a corrected one", async () => {
  await using lab = await createLab();
  await lab.sun.peer({ connections: [{ psk, ...proposals }] });
  await lab.moon.writeFile("/etc/ipsec.config.d/ipsec.x.conf", conn("x", ["lifetime=1.5h"]));
  await lab.moon.writeFile("/etc/ipsec.secrets.d/ipsec.x.secrets", secrets, 0o600);
  const moon = lab.moon.gateway({ IPSEC_USE_MANUAL_CONFIG: "yes" });
  await isReady(moon);
  await moon.waitForRecord((record) => record.event === "diagnosis");
  assert.deepEqual(
    diagnoses(moon).map(({ cause, variables, connection }) => ({ cause, variables, connection })),
    [
      {
        cause: "configuration-invalid",
        variables: ["IPSEC_USE_MANUAL_CONFIG", "IPSEC_MANUAL_CHARON"],
        connection: "x",
      },
    ],
  );
  await lab.moon.writeFile("/etc/ipsec.config.d/ipsec.x.conf", conn("x", ["lifetime=90m"]));
  await reload(moon);
  await hasTunnels(moon);
  await pingBothWays(lab);
  assert.equal(await stop(moon), 0);
});

test("with IPSEC_BACKEND=swanctl it is swanctl's configuration that is mounted, and a reload follows it", async () => {
  await using lab = await createLab({ sun: { networks: ["10.2.0.0/24", "10.4.0.0/24"] } });
  const { moon, sun } = lab;
  await sun.peer({ connections: [{ psk }] });
  const mounted = (name: string, key: string): string =>
    swanctlConf([
      {
        name,
        psk: Buffer.from(key),
        localAddress: moon.address,
        remoteAddress: sun.address,
        localNetworks: moon.networks,
        remoteNetworks: sun.networks,
        startAction: "start",
      },
    ]);
  await moon.writeFile(
    "/etc/swanctl/conf.d/by-hand.conf",
    mounted("by-hand", "another key than that of the peer"),
    0o600,
  );
  const before = await filesOf(lab);
  const gateway = moon.gateway({ IPSEC_BACKEND: "swanctl", IPSEC_USE_MANUAL_CONFIG: "yes" });
  await isReady(gateway);
  await gateway.waitForRecord((record) => record.event === "diagnosis");
  assert.equal(diagnoses(gateway)[0]?.cause, "authentication-failed");
  assert.deepEqual(differing(before, await filesOf(lab)), ["strongswan.d/charon.conf"]);
  await moon.writeFile("/etc/swanctl/conf.d/by-hand.conf", mounted("corrected", tunnelPsk), 0o600);
  const corrected = await filesOf(lab);
  await reload(gateway);
  await hasTunnels(gateway);
  await pingBothWays(lab);
  assert.equal(await stop(gateway), 0);
  assert.deepEqual(differing(await filesOf(lab), corrected), ["strongswan.d/charon.conf"]);
});

/** One for each of moon's networks, which know moon by another name and another key. */
const twoConnections = (lab: Lab): string =>
  swanctlConf(
    lab.moon.networks.map((network, index) => ({
      ...proposals,
      version: 2,
      name: `of-${index}`,
      psk: index === 0 ? psk : Buffer.from("another key, which only a HUP makes known"),
      localAddress: lab.sun.address,
      remoteAddress: lab.moon.address,
      remoteId: index === 0 ? lab.moon.address : "y.example.org",
      localNetworks: lab.sun.networks,
      remoteNetworks: [network],
    })),
  );

const spiOf = async (peer: Peer, network: string): Promise<unknown> => {
  const children = (await peer.sas()).flatMap((sa) => sa.children);
  return children.find((child) => `${child["remote-ts"]}` === network)?.["spi-in"];
};

const pingBothWays = async (lab: Lab): Promise<void> => {
  for (const [one, other] of [
    [lab.moon, lab.sun],
    [lab.sun, lab.moon],
  ] as const) {
    await waitFor("an answer through the tunnel", async () =>
      (await one.ping(other.host, { count: 1 })).received === 1 ? true : undefined,
    );
  }
};

/** Whatever an operator can mount below /etc, with what must not change of it. */
type Files = Readonly<
  Record<string, { readonly text: string; readonly mode: string; readonly modified: number }>
>;

const filesOf = async (lab: Lab): Promise<Files> => {
  const etc = lab.moon.fromOutside("/etc/x").slice(0, -"/x".length);
  const names = await readdir(etc, { recursive: true, withFileTypes: true });
  const entries = names
    .filter(
      (entry) =>
        entry.isFile() && /\/etc\/(?:ipsec|strongswan|swanctl)/.test(join(entry.parentPath, entry.name)),
    )
    .map(async (entry) => {
      const path = join(entry.parentPath, entry.name);
      const { mode, mtimeMs: modified } = await stat(path);
      return [
        path.slice(etc.length + 1),
        { text: await readFile(path, "latin1"), mode: mode.toString(8), modified },
      ] as const;
    });
  return Object.fromEntries(await Promise.all(entries));
};

/** Names of the files that are new, gone or other than before, less those that strongSwan's patterns skip. */
const differing = (before: Files, after: Files): readonly string[] =>
  [...new Set([...Object.keys(before), ...Object.keys(after)])]
    .filter((name) => !name.includes("/."))
    .filter((name) => JSON.stringify(before[name]) !== JSON.stringify(after[name]))
    .sort();
