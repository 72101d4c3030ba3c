import assert from "node:assert/strict";
import { test } from "node:test";
import { renderPsk } from "../../../src/backend/backend.ts";
import { backends } from "../../../src/backend/backends.ts";
import { marker } from "../../../src/backend/config-file.ts";
import { renderFiles } from "../../../src/backend/files.ts";
import { buildGateway } from "../../../src/gateway/from-settings.ts";
import { endpointText } from "../../../src/ipsec/address.ts";
import { loadTemplates } from "../../../src/load-templates.ts";
import { secret } from "../../../src/secret.ts";
import { parseSettings } from "../../../src/settings/parse-settings.ts";
import { environmentOf, minimal } from "../../support/environment-of.ts";

const filesOf = (
  changes: Readonly<Record<string, string>>,
  options: { readonly manualCharon?: boolean; readonly isReal?: boolean } = {},
) => {
  const { settings } = parseSettings(environmentOf({ ...minimal, ...changes }), "gateway");
  return renderFiles(backends.stroke, buildGateway(settings ?? assert.fail()), {
    templates: loadTemplates(),
    dataplane: "kernel",
    manualCharon: options.manualCharon ?? false,
    showSecrets: options.isReal === true,
  });
};

test("a key is masked unless the files are really written", () => {
  const text = (isReal: boolean) => filesOf({}, { isReal })[1]?.text ?? "";
  assert.match(text(false), /: PSK \*\*\*\n$/);
  assert.match(text(true), new RegExp(`: PSK 0s${Buffer.from(minimal.IPSEC_PSK).toString("base64")}\\n$`));
});

test("a key of any bytes is written as base64", () => {
  const everyByte = Uint8Array.from({ length: 256 }, (_, byte) => byte);
  const written = renderPsk(secret(everyByte), { showSecrets: true });
  assert.match(written, /^0s[A-Za-z0-9+/]+=*$/);
  assert.deepEqual(Uint8Array.from(Buffer.from(written.slice(2), "base64")), everyByte);
});

test("every file of ours begins with our mark, only the one with the key is private", () => {
  const files = filesOf({});
  assert.deepEqual(
    files.map(({ mode, ownedByDaemon }) => [mode, ownedByDaemon]),
    [
      [0o644, false],
      [0o600, true],
      [0o644, false],
    ],
  );
  for (const { path, text } of files) {
    assert.ok(text.startsWith(`${marker}\n`), path);
    assert.ok(text.endsWith("\n"), path);
  }
});

test("the same settings give the same files", () => {
  assert.deepEqual(filesOf({ IPSEC_VTI_KEY: "42" }), filesOf({ IPSEC_VTI_KEY: "42" }));
});

test("each manual switch leaves out what the operator mounts", () => {
  const paths = (changes: Readonly<Record<string, string>>, manualCharon: boolean) =>
    filesOf(changes, { manualCharon }).map(({ path }) => path.split("/").at(-1));
  assert.deepEqual(paths({}, true), ["ipsec.site.conf", "ipsec.site.secrets"]);
  assert.deepEqual(paths({ IPSEC_USE_MANUAL_CONFIG: "yes" }, false), ["charon.conf"]);
  assert.deepEqual(paths({ IPSEC_USE_MANUAL_CONFIG: "yes" }, true), []);
});

test("a template that lacks a value fails instead of writing nothing", () => {
  assert.throws(
    () => loadTemplates()["stroke/connection.conf"]({ marker, conns: [{ name: "site" }] }),
    /keyexchange/,
  );
});

test("the end of a tunnel is an address, a name or anything", () => {
  assert.equal(
    endpointText({ kind: "address", address: { family: "ipv6", text: "2001:db8::1" } }),
    "2001:db8::1",
  );
  assert.equal(endpointText({ kind: "name", name: "vpn.example.com" }), "vpn.example.com");
  assert.equal(endpointText({ kind: "any" }), "%any");
});
