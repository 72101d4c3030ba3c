import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { after, suite, test } from "node:test";
import { backends } from "../../../src/backend/backends.ts";
import { marker } from "../../../src/backend/config-file.ts";
import { secretsOf } from "../../../src/commands/secrets-of.ts";
import { buildGateway } from "../../../src/gateway/from-settings.ts";
import type { Connection } from "../../../src/gateway/gateway.ts";
import { loadTemplates } from "../../../src/load-templates.ts";
import { createScrubber } from "../../../src/observe/scrub.ts";
import { parseSettings } from "../../../src/settings/parse-settings.ts";
import type { Settings } from "../../../src/settings/settings.ts";
import { environmentOf, minimal } from "../../support/environment-of.ts";
import { convertKey, createPki } from "../../support/pki.ts";

const pki = createPki();
after(() => pki[Symbol.dispose]());

const root = pki.root("/CN=root");
const middle = root.authority({ subject: "/CN=middle" });
const moon = middle.issue({ subject: "/CN=moon", kind: "rsa" });
const sun = root.issue({ subject: "/CN=sun" });
const passphrase = "correct horse battery staple";
const encrypted = convertKey(moon.privateKey, "-aes256", "-passout", `pass:${passphrase}`);

const settingsOf = (changes: Readonly<Record<string, string>> = {}): Settings => {
  const { settings, errors } = parseSettings(
    environmentOf({
      ...minimal,
      IPSEC_PSK: "",
      IPSEC_AUTH: "pubkey",
      IPSEC_CERT: moon.certificate + middle.certificate,
      IPSEC_PRIVATE_KEY: encrypted,
      IPSEC_PRIVATE_KEY_PASSPHRASE: passphrase,
      IPSEC_CA_CERT: root.certificate,
      ...changes,
    }),
    "gateway",
  );
  assert.deepEqual(errors, []);
  return settings ?? assert.fail();
};

const connectionOf = (changes: Readonly<Record<string, string>> = {}): Connection =>
  buildGateway(settingsOf(changes)).connections[0] ?? assert.fail();

const keyLines = (pem: string): readonly string[] =>
  pem.split("\n").filter((line) => line.length > 16 && !line.startsWith("-"));

for (const backend of Object.values(backends)) {
  suite(backend.name, () => {
    const filesOf = (connection: Connection, showSecrets: boolean) =>
      backend.connectionFiles(connection, { templates: loadTemplates(), showSecrets });

    test("the private key is written where it belongs and nowhere else, readable for its owner alone", () => {
      const files = filesOf(connectionOf(), true);
      const withKey = files.filter(({ text }) => text.includes(keyLines(moon.privateKey)[1] ?? "?"));
      assert.deepEqual(
        withKey.map(({ mode, ownedByDaemon }) => [mode, ownedByDaemon]),
        [[0o600, backend.name === "stroke"]],
      );
      assert.equal(withKey[0]?.text, `${marker}\n${moon.privateKey}`);
      // Of another key, or of the passphrase, strongSwan need not know.
      for (const { text } of files)
        for (const secret of [passphrase, ...keyLines(encrypted)]) assert.ok(!text.includes(secret));
    });

    test("it is masked unless the files are really written", () => {
      for (const { text } of filesOf(connectionOf(), false))
        for (const line of keyLines(moon.privateKey)) assert.ok(!text.includes(line));
      const [masked] = filesOf(connectionOf(), false).filter(({ text }) => text.includes("***"));
      assert.equal(masked?.text, `${marker}\n***\n`);
    });

    test("every certificate is a file of its own, and every file is one of ours in a folder of ours", () => {
      const files = filesOf(connectionOf(), true);
      const certificates = files.filter(({ text }) => text.includes("BEGIN CERTIFICATE"));
      assert.deepEqual(
        certificates.map(({ text }) => new X509Certificate(text.slice(marker.length)).subject).toSorted(),
        ["CN=middle", "CN=moon", "CN=root"],
      );
      for (const { path, text, connection } of files) {
        assert.ok(text.startsWith(`${marker}\n`));
        assert.equal(connection, "site");
        assert.ok(backend.directories.includes(path.slice(0, path.lastIndexOf("/"))), path);
      }
      const paths = files.map(({ path }) => path);
      assert.equal(new Set(paths).size, paths.length);
    });

    test("no two connections have a file in common", () => {
      const pinned = { IPSEC_CA_CERT: "", IPSEC_REMOTE_CERT: sun.certificate };
      const names = ["site", "site-peer", "site-1", "site-1-1"];
      const paths = names.flatMap((name) =>
        [{}, pinned].flatMap((changes) => [
          ...new Set(filesOf(connectionOf({ IPSEC_NAME: name, ...changes }), true).map(({ path }) => path)),
        ]),
      );
      const byName = names.map(
        (name) =>
          new Set(
            [{}, pinned].flatMap((changes) =>
              filesOf(connectionOf({ IPSEC_NAME: name, ...changes }), true).map(({ path }) => path),
            ),
          ),
      );
      assert.equal(
        new Set(paths).size,
        byName.reduce((sum, { size }) => sum + size, 0),
      );
    });
  });
}

test("over vici the key comes without its passphrase, and each certificate as its bytes", () => {
  const requests = backends.swanctl.load([connectionOf()]);
  const messages = requests.map((request) => (request.kind === "vici" ? request : assert.fail()));
  assert.deepEqual(
    messages.map(({ command }) => command),
    ["load-key", "load-cert", "load-cert", "load-conn"],
  );
  assert.equal(Buffer.from(messages[0]?.message["data"] as Uint8Array).toString(), moon.privateKey);
  const site = messages[3]?.message["site"] as {
    local: { certs: Uint8Array[] };
    remote: { cacerts: Uint8Array[] };
  };
  assert.equal(new X509Certificate(site.local.certs[0] ?? "").subject, "CN=moon");
  // The intermediate CA of our own chain is nobody by whom we trust a peer.
  assert.deepEqual(
    site.remote.cacerts.map((der) => new X509Certificate(der).subject),
    ["CN=root"],
  );
});

test("a key and its passphrase are masked in a log, also where a line of the key stands alone", () => {
  const settings = settingsOf();
  const secrets = secretsOf(settings);
  const scrub = createScrubber(() => secrets);
  const lines = [moon.privateKey, encrypted].flatMap(keyLines);
  assert.ok(lines.length > 40);
  for (const secret of [passphrase, encrypted.trim(), ...lines])
    assert.equal(scrub(`before ${secret} after`), "before *** after");
  assert.equal(scrub(moon.certificate), moon.certificate);
});

test("starter, which compares what a conn says and no more, finds another conn wherever any credential is another", () => {
  const connOf = (changes: Readonly<Record<string, string>>): string => {
    const options = { templates: loadTemplates(), dataplane: "kernel", showSecrets: true } as const;
    const [conf] = backends.stroke.connectionFiles(connectionOf(changes), options);
    return conf?.text.slice(conf.text.indexOf("conn site")) ?? assert.fail();
  };
  const conns = [
    {},
    { IPSEC_CA_CERT: pki.root("/CN=root").certificate },
    { IPSEC_CA_CERT: root.certificate + middle.certificate, IPSEC_CERT: moon.certificate },
    { IPSEC_CERT: moon.certificate },
    { IPSEC_REVOCATION: "strict" },
  ].map(connOf);
  // The same CAs and certificate, whichever file an intermediate came in.
  assert.equal(conns[2], conns[0]);
  assert.equal(new Set(conns).size, 4);
  assert.equal(connOf({ IPSEC_REVOCATION: "off" }), conns[0]);
});
