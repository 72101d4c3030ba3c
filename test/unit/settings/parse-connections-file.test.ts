import assert from "node:assert/strict";
import { test } from "node:test";
import { parseConnectionsFile } from "../../../src/settings/parse-connections-file.ts";

const given = (text: string) => {
  const { defaults, connections, errors } = parseConnectionsFile(text, "site.yaml");
  assert.deepEqual(errors, []);
  const texts = (map: ReadonlyMap<string, { readonly text: string }>) =>
    Object.fromEntries([...map].map(([name, value]) => [name, value.text]));
  return {
    defaults: texts(defaults),
    connections: Object.fromEntries(connections.map((one) => [one.name, texts(one.given)])),
  };
};

const errorsOf = (text: string) =>
  parseConnectionsFile(text, "site.yaml").errors.map(({ message, hint }) => `${message} | ${hint}`);

test("keys are names of variables in lower case without IPSEC_, in whichever spelling, and values the text that stands there", () => {
  assert.deepEqual(
    given(
      `
defaults:
  localip: 192.0.2.1
connections:
  berlin:
    psk: 0123
    pskFile: 1e3
    vti_key: 0x2a
    set_route_default_table: no
    dpdDelay: 10s
`,
    ),
    {
      defaults: { IPSEC_LOCALIP: "192.0.2.1" },
      connections: {
        berlin: {
          IPSEC_PSK: "0123",
          IPSEC_PSK_FILE: "1e3",
          IPSEC_VTI_KEY: "0x2a",
          SET_ROUTE_DEFAULT_TABLE: "no",
          IPSEC_DPD_DELAY: "10s",
        },
      },
    },
  );
});

test("JSON says the same", () => {
  assert.deepEqual(
    given(
      '{"defaults": {"forceudp": true}, "connections": {"a": {"vti_key": 42, "remotenet": ["10.2.0.0/16", "10.3.0.0/16"], "psk": null}}}',
    ),
    {
      defaults: { IPSEC_FORCEUDP: "true" },
      connections: { a: { IPSEC_VTI_KEY: "42", IPSEC_REMOTENET: "10.2.0.0/16,10.3.0.0/16", IPSEC_PSK: "" } },
    },
  );
});

test("an alias stands for what it names, and << for what a connection has in common with others and does not say itself", () => {
  const { connections } = given(`
connections:
  paris: &classic {remotenet: &net 10.2.0.0/16, ikelifetime: 8h}
  rome: {<<: *classic, remotenet: 10.3.0.0/16}
  oslo: {<<: [{lifetime: 1h}, *classic], localnet: [*net, 10.9.0.0/16]}
`);
  assert.deepEqual(connections["rome"], { IPSEC_REMOTENET: "10.3.0.0/16", IPSEC_IKELIFETIME: "8h" });
  assert.deepEqual(connections["oslo"], {
    IPSEC_LOCALNET: "10.2.0.0/16,10.9.0.0/16",
    IPSEC_LIFETIME: "1h",
    IPSEC_REMOTENET: "10.2.0.0/16",
    IPSEC_IKELIFETIME: "8h",
  });
});

test("each error has file, line and path, and a remedy", () => {
  assert.deepEqual(
    errorsOf(`
defaults:
  remotenett: 10.2.0.0/16
  backend: swanctl
connection: {}
connections:
  Berlin:
    psk: [a, b]
    name: other
    lifetime: {hours: 1}
  paris: 192.0.2.1
  rome:
    psk_file: /a
    pskFile: /b
  rome: {}
`),
    [
      'site.yaml:5: connection: "connection" is not known | for example connections: {berlin: {remoteip: 198.51.100.7, remotenet: 10.2.0.0/16, psk_file: /run/secrets/berlin}}',
      'site.yaml:15: connections.rome: "rome" is there twice | keep one of them',
      'site.yaml:3: defaults.remotenett: "remotenett" is not known | did you mean remotenet?',
      'site.yaml:4: defaults.backend: "backend" concerns the whole gateway | set IPSEC_BACKEND in the environment',
      'site.yaml:7: connections.Berlin: "Berlin" is no name for a connection | up to 31 of a-z, 0-9 and -, a letter first, for example site',
      "site.yaml:8: connections.Berlin.psk: must be a value | for example psk: text",
      'site.yaml:9: connections.Berlin.name: "name" is not known | a connection\'s name is its key below connections',
      "site.yaml:10: connections.Berlin.lifetime: must be a value | for example lifetime: text",
      "site.yaml:11: connections.paris: must be a map from keys to values | for example connections: {berlin: {remoteip: 198.51.100.7, remotenet: 10.2.0.0/16, psk_file: /run/secrets/berlin}}",
      "site.yaml:14: connections.rome.pskFile: psk_file is there twice | keep one of them, in whichever spelling",
    ],
  );
});

test("what is not YAML is told by its line, and never by its text", () => {
  const [first = "", ...others] = errorsOf('connections:\n  a:\n    psk: "secret\\q"\n    psk: }secret\n');
  assert.match(first, /^site\.yaml:3: is not YAML: bad dq escape \| for example/);
  assert.ok(![first, ...others].some((message) => message.includes("secret\\q")));
  assert.match(errorsOf("").join(), /^site\.yaml:1: there is no connection/);
  assert.match(errorsOf("--- a\n--- b\n").join(), /multiple docs/);
});

test("no alias makes a file grow without end", () => {
  assert.equal(errorsOf("connections: {a: &a {<<: *a}}").length, 1);
  assert.equal(errorsOf("connections: {a: {localnet: *nowhere}}").length, 1);
  const keys = Array.from({ length: 2_000 }, (_, index) => `k${index}: v`).join(", ");
  const uses = Array.from({ length: 500 }, (_, index) => `b${index}: *a`).join(", ");
  assert.ok(errorsOf(`connections: {a: &a {${keys}}, ${uses}}`).length < 5_000);
});
