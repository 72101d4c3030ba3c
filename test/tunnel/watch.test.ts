import assert from "node:assert/strict";
import { test } from "node:test";
import { statusOf } from "../support/ask-gateway.ts";
import { linesOf } from "../support/environment-file.ts";
import { createLab, type Lab } from "../support/lab.ts";
import { isReady, stop, tunnelEnvironment } from "../support/our-gateway.ts";
import type { Environment, SiteProcess } from "../support/site-process.ts";

/** Far below the ten seconds after which a file is looked at anyway: what is seen by then, inotify has told. */
const promptly = { timeoutMs: 8_000 };

const watched = (lab: Lab, changes: Environment = {}): Environment =>
  tunnelEnvironment(lab.moon, lab.sun, { IPSEC_START: "add", IPSEC_WATCH: "yes", ...changes });

const text = (lab: Lab, changes: Environment = {}): string => linesOf(watched(lab, changes));

const start = async (lab: Lab, environment: Environment): Promise<SiteProcess> => {
  const gateway = lab.moon.gateway(environment);
  await isReady(gateway);
  return gateway;
};

/** Resolves when the gateway has reloaded by itself, after what `act` does. */
const reloadsAfter = async (
  gateway: SiteProcess,
  act: () => Promise<unknown>,
  event: "reloaded" | "reload-refused" = "reloaded",
): Promise<void> => {
  const from = gateway.records().length;
  await act();
  const record = await gateway.waitForRecord(({ event: own }) => /^reload/.test(`${own}`), {
    from,
    ...promptly,
  });
  assert.equal(record.event, event);
};

const count = (gateway: SiteProcess, event: string): number =>
  gateway.records().filter((record) => record.event === event).length;

const shell = (lab: Lab, script: string) => lab.moon.run(["bash", "-ec", script]);

const remoteNetworks = async (lab: Lab): Promise<readonly string[]> =>
  (await statusOf(lab.moon)).connections.flatMap(({ children }) =>
    children.flatMap((child) => child.remoteNetworks),
  );

test("a changed ENVFILE is followed, however it is replaced, and one of the same content is not", async () => {
  await using lab = await createLab();
  const file = "/etc/srv/vpn/moon.env";
  await lab.moon.writeFile(file, text(lab));
  const gateway = await start(lab, { ENVFILE: file });
  const networks = Array.from({ length: 6 }, (_, index) => `10.${index + 20}.0.0/16`);
  const ways: readonly ((network: string) => Promise<unknown>)[] = [
    async (network) => lab.moon.writeFile(file, text(lab, { IPSEC_REMOTENET: network })),
    async (network) => {
      await lab.moon.writeFile(`${file}.new`, text(lab, { IPSEC_REMOTENET: network }));
      await shell(lab, `mv ${file}.new ${file}`);
    },
    async (network) => {
      await lab.moon.writeFile("/etc/srv/vpn.new/moon.env", text(lab, { IPSEC_REMOTENET: network }));
      await shell(lab, "mv /etc/srv/vpn /etc/srv/vpn.old && mv /etc/srv/vpn.new /etc/srv/vpn");
    },
    async (network) => {
      await lab.moon.writeFile("/etc/srv/elsewhere/site.env", text(lab, { IPSEC_REMOTENET: network }));
      await shell(lab, `ln -s /etc/srv/elsewhere/site.env ${file}.link && mv -T ${file}.link ${file}`);
    },
    async (network) =>
      lab.moon.writeFile("/etc/srv/elsewhere/site.env", text(lab, { IPSEC_REMOTENET: network })),
    // What was read must be what is there, not what a step on the way was.
    async (network) => {
      for (const step of ["10.90.0.0/16", "10.91.0.0/16", network])
        await lab.moon.writeFile("/etc/srv/elsewhere/site.env", text(lab, { IPSEC_REMOTENET: step }));
    },
  ];
  for (const [index, way] of ways.entries()) {
    const network = networks[index] ?? assert.fail();
    await reloadsAfter(gateway, () => way(network));
    assert.deepEqual(await remoteNetworks(lab), [network], `way ${index}`);
    // Written again, and replaced by the same.
    await shell(lab, `cp -a ${file} ${file}.same && touch ${file} && mv ${file}.same ${file}`);
  }
  assert.equal(count(gateway, "files-changed"), ways.length);
  assert.equal(count(gateway, "reloaded"), ways.length);
  assert.equal(await stop(gateway), 0);
});

test("the volume of a Secret that Kubernetes swaps is followed, for the key and for a file of connections", async () => {
  await using lab = await createLab();
  // As the kubelet does it (kubernetes pkg/volume/util/atomic_writer.go).
  const publish = (version: number, key: string, network: string) =>
    shell(
      lab,
      `mkdir -p /etc/srv/volume/..v${version} && cd /etc/srv/volume
       printf %s '${key}' > ..v${version}/psk
       printf %s '${JSON.stringify({ connections: { site: { remotenet: network } } })}' > ..v${version}/site.json
       ln -s ..v${version} ..data_tmp && mv -T ..data_tmp ..data
       ln -sfn ..data/psk psk && ln -sfn ..data/site.json site.json
       rm -rf ..v${version - 1}`,
    );
  await publish(1, "the first key of more than twenty bytes", "10.21.0.0/16");
  const { IPSEC_PSK: _, IPSEC_REMOTENET: __, ...environment } = watched(lab);
  const gateway = await start(lab, {
    ...environment,
    IPSEC_PSK_FILE: "/etc/srv/volume/psk",
    IPSEC_CONFIG_FILE: "/etc/srv/volume/site.json",
  });
  for (let version = 2; version <= 4; version += 1) {
    await reloadsAfter(gateway, () =>
      publish(version, `key ${version} of more than twenty bytes`, `10.${20 + version}.0.0/16`),
    );
    assert.deepEqual(await remoteNetworks(lab), [`10.${20 + version}.0.0/16`]);
  }
  await reloadsAfter(gateway, () => publish(5, "only the key is another, this time", "10.24.0.0/16"));
  assert.equal(count(gateway, "reloaded"), 4);
  assert.equal(await stop(gateway), 0);
});

test("a file that is mounted by itself is followed when it is written to on the host", async () => {
  await using lab = await createLab();
  await lab.moon.writeFile("/etc/srv/host/moon.env", text(lab));
  await shell(
    lab,
    "mkdir -p /etc/srv/container && touch /etc/srv/container/moon.env && mount --bind /etc/srv/host/moon.env /etc/srv/container/moon.env",
  );
  const gateway = await start(lab, { ENVFILE: "/etc/srv/container/moon.env" });
  const other = text(lab, { IPSEC_REMOTENET: "10.30.0.0/16" });
  await reloadsAfter(gateway, () =>
    lab.moon.run(["bash", "-c", "cat > /etc/srv/host/moon.env"], { input: other }),
  );
  assert.deepEqual(await remoteNetworks(lab), ["10.30.0.0/16"]);
  assert.equal(await stop(gateway), 0);
});

test("a bad file is refused once, one that vanishes too, and a good one is followed again", async () => {
  await using lab = await createLab();
  const file = "/etc/srv/vpn/moon.env";
  await lab.moon.writeFile(file, text(lab));
  const gateway = await start(lab, { ENVFILE: file });
  await reloadsAfter(
    gateway,
    () => lab.moon.writeFile(file, text(lab, { IPSEC_LIFETIME: "soon" })),
    "reload-refused",
  );
  await shell(lab, `touch ${file}`);
  await reloadsAfter(gateway, () => shell(lab, "rm -r /etc/srv/vpn"), "reload-refused");
  await reloadsAfter(gateway, () => lab.moon.writeFile(file, text(lab, { IPSEC_REMOTENET: "10.31.0.0/16" })));
  assert.deepEqual(await remoteNetworks(lab), ["10.31.0.0/16"]);
  assert.equal(count(gateway, "reload-refused"), 2);
  assert.equal(count(gateway, "files-changed"), 3);
  assert.equal(await stop(gateway), 0);
});

test("a file that is named later is followed too, as soon as it is there", async () => {
  await using lab = await createLab();
  const file = "/etc/srv/moon.env";
  await lab.moon.writeFile(file, text(lab));
  const gateway = await start(lab, { ENVFILE: file });
  const { IPSEC_PSK: _, ...keyless } = watched(lab, { IPSEC_PSK_FILE: "/etc/srv/keys/of/moon" });
  await reloadsAfter(gateway, () => lab.moon.writeFile(file, linesOf(keyless)), "reload-refused");
  await reloadsAfter(gateway, () =>
    shell(
      lab,
      "mkdir -p /etc/srv/new/of && echo another key of more than twenty bytes > /etc/srv/new/of/moon && mv /etc/srv/new /etc/srv/keys",
    ),
  );
  await reloadsAfter(gateway, () =>
    lab.moon.writeFile("/etc/srv/keys/of/moon", "yet another key of more than twenty bytes\n"),
  );
  assert.equal(await stop(gateway), 0);
});

test("many changes at once are few reloads, and the last one is followed", async () => {
  await using lab = await createLab();
  const file = "/etc/srv/moon.env";
  await lab.moon.writeFile(file, text(lab));
  const gateway = await start(lab, { ENVFILE: file });
  await lab.moon.writeFile("/etc/srv/last.env", text(lab, { IPSEC_REMOTENET: "10.32.0.0/16" }));
  await lab.moon.writeFile("/etc/srv/first.env", text(lab, { IPSEC_REMOTENET: "10.33.0.0/16" }));
  await reloadsAfter(gateway, () =>
    shell(
      lab,
      `for i in {1..200}; do cp /etc/srv/first.env ${file}; cp /etc/srv/last.env ${file}.new; mv ${file}.new ${file}; done`,
    ),
  );
  await reloadsAfter(gateway, () => lab.moon.writeFile(file, text(lab, { IPSEC_REMOTENET: "10.34.0.0/16" })));
  assert.deepEqual(await remoteNetworks(lab), ["10.34.0.0/16"]);
  // One in two seconds at most, as long as there is no end of it.
  assert.ok(count(gateway, "reloaded") < 10, `${count(gateway, "reloaded")} reloads`);
  assert.equal(await stop(gateway), 0);
});

test("without IPSEC_WATCH nothing is followed until it is asked for, and switching it off ends it", async () => {
  await using lab = await createLab();
  const file = "/etc/srv/moon.env";
  await lab.moon.writeFile(file, text(lab));
  const gateway = await start(lab, { ENVFILE: file });
  await reloadsAfter(gateway, () => lab.moon.writeFile(file, text(lab, { IPSEC_WATCH: "no" })));
  await lab.moon.writeFile(file, text(lab, { IPSEC_WATCH: "no", IPSEC_REMOTENET: "10.35.0.0/16" }));
  await reloadsAfter(gateway, async () => gateway.signal("SIGHUP"));
  assert.deepEqual(await remoteNetworks(lab), ["10.35.0.0/16"]);
  assert.equal(count(gateway, "files-changed"), 1);
  assert.equal(await stop(gateway), 0);
});
