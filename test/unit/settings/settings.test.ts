import assert from "node:assert/strict";
import { test } from "node:test";
import type { Problem } from "../../../src/failure.ts";
import { type ParsedSettings, parseSettings } from "../../../src/settings/parse-settings.ts";
import type { Purpose, Values } from "../../../src/settings/settings.ts";
import type { VariableName } from "../../../src/settings/variables.ts";
import { environmentOf, minimal } from "../../support/environment-of.ts";

const parse = (changes: Readonly<Record<string, string>>, purpose: Purpose = "gateway"): ParsedSettings =>
  parseSettings(environmentOf({ ...minimal, ...changes }), purpose);

const values = (changes: Readonly<Record<string, string>>): Values => {
  const { settings, errors } = parse(changes);
  assert.deepEqual(errors, []);
  assert.ok(settings);
  const [tunnel] = settings.tunnels;
  return tunnel ?? assert.fail();
};

const variablesOf = (problems: readonly Problem[]) => problems.map((problem) => problem.variable);

test("the least environment is valid without a warning, and everything else has its default", () => {
  const { settings, errors, warnings } = parse({});
  assert.deepEqual({ errors, warnings }, { errors: [], warnings: [] });
  const { tunnels, connections } = settings ?? assert.fail();
  const gateway = tunnels[0] ?? assert.fail();
  assert.equal(gateway.IPSEC_NAME, "site");
  assert.equal(gateway.IPSEC_KEYEXCHANGE, "ikev2");
  assert.equal(gateway.IPSEC_LIFETIME, 3600);
  assert.equal(gateway.IPSEC_IKELIFETIME, 10_800);
  assert.equal(gateway.IPSEC_FORCEUDP, true);
  assert.equal(gateway.IPSEC_IKEREAUTH, true);
  assert.equal(gateway.SET_ROUTE_DEFAULT_TABLE, false);
  assert.equal(gateway.IPSEC_START, "route");
  assert.equal(gateway.IPSEC_DPD_DELAY, 30);
  assert.equal(gateway.IPSEC_DPD_TIMEOUT, 150);
  assert.equal(gateway.IPSEC_DPD_ACTION, "restart");
  assert.equal(gateway.IPSEC_DATAPLANE, "auto");
  assert.equal(gateway.IPSEC_MTU, "auto");
  assert.equal(gateway.IPSEC_MSS, "auto");
  assert.equal(gateway.IPSEC_NAT_EXEMPT, false);
  assert.equal(gateway.IPSEC_INTERFACES, undefined);
  assert.equal(gateway.DEBUG, false);
  assert.equal(gateway.LOG_LEVEL, "info");
  assert.equal(gateway.LOG_FORMAT, undefined);
  assert.equal(gateway.IPSEC_USE_MANUAL_CONFIG, false);
  assert.equal(gateway.IPSEC_MANUAL_CHARON, false);
  assert.deepEqual(connections[0]?.IPSEC_LOCALID, { kind: "ipv4", text: "192.0.2.1" });
  assert.deepEqual(connections[0]?.IPSEC_REMOTEID, { kind: "ipv4", text: "192.0.2.2" });
});

/** Good values of each variable, and what they are understood as. */
const accepted: readonly (readonly [VariableName, string, unknown])[] = [
  ["ENVFILE", "/etc/site.env", "/etc/site.env"],
  ["IPSEC_NAME", "berlin-2", "berlin-2"],
  ["IPSEC_LOCALIP", "192.0.2.9", { kind: "address", address: { family: "ipv4", text: "192.0.2.9" } }],
  ["IPSEC_REMOTEIP", "198.51.100.7", { kind: "address", address: { family: "ipv4", text: "198.51.100.7" } }],
  ["IPSEC_REMOTEIP", "vpn.example.com", { kind: "name", name: "vpn.example.com" }],
  ["IPSEC_LOCALID", "moon.example.com", { kind: "fqdn", text: "moon.example.com" }],
  ["IPSEC_LOCALID", "vpn@example.com", { kind: "email", text: "vpn@example.com" }],
  ["IPSEC_REMOTEID", "C=DE, CN=sun", { kind: "dn", text: "C=DE, CN=sun" }],
  ["IPSEC_REMOTEID", "keyid:sun", { kind: "keyid", text: "sun", encoding: "text" }],
  ["IPSEC_LOCALNET", "10.1.0.0/16", [{ family: "ipv4", prefixLength: 16, text: "10.1.0.0/16" }]],
  ["IPSEC_KEYEXCHANGE", "IKE", "ike"],
  ["IPSEC_KEYEXCHANGE", "ikev1", "ikev1"],
  ["IPSEC_LIFETIME", "1.5h", 5400],
  ["IPSEC_IKELIFETIME", "1d", 86_400],
  ["IPSEC_FORCEUDP", "no", false],
  ["IPSEC_IKEREAUTH", "no", false],
  ["IPSEC_INTERFACES", "eth0, eth1.100", ["eth0", "eth1.100"]],
  ["SET_ROUTE_DEFAULT_TABLE", "TRUE", true],
  ["IPSEC_VTI_KEY", "0x2A", 42],
  ["IPSEC_VTI_KEY", "4294967293", 4_294_967_293],
  ["IPSEC_XFRM_IF_ID", "0x2A", 42],
  ["IPSEC_XFRM_IF_ID", "4294967293", 4_294_967_293],
  [
    "IPSEC_XFRM_IPADDR_LOCAL",
    "169.254.10.1/30, fd00:42:0::1",
    [
      { address: { family: "ipv4", text: "169.254.10.1" }, prefixLength: 30 },
      { address: { family: "ipv6", text: "fd00:42::1" } },
    ],
  ],
  ["IPSEC_XFRM_IPADDR_PEER", "fd00:42::2", [{ family: "ipv6", text: "fd00:42::2" }]],
  ["IPSEC_MTU", "Auto", "auto"],
  ["IPSEC_MTU", "off", "off"],
  ["IPSEC_MTU", "576", 576],
  ["IPSEC_MTU", "9000", 9000],
  ["IPSEC_MSS", "AUTO", "auto"],
  ["IPSEC_MSS", "off", "off"],
  ["IPSEC_MSS", "1360", 1360],
  ["IPSEC_NAT_EXEMPT", "Yes", true],
  ["IPSEC_DATAPLANE", "UserSpace", "userspace"],
  ["IPSEC_START", "start, route", "route,start"],
  ["IPSEC_DPD_DELAY", "10", 10],
  ["IPSEC_DPD_ACTION", "trap", "trap"],
  ["LOG_LEVEL", "Warn", "warn"],
  ["LOG_FORMAT", "pretty", "pretty"],
  ["DEBUG", "yes", true],
  ["DEBUG", "verbose", true],
];

test("each variable takes its good values", () => {
  for (const [name, text, value] of accepted)
    assert.deepEqual(values({ IPSEC_BACKEND: "swanctl", [name]: text })[name], value, `${name}=${text}`);
});

/** Bad values of each variable. */
const refused: readonly (readonly [VariableName, ...string[]])[] = [
  ["IPSEC_NAME", "Site", "1site", "site_1", "a".repeat(32), "../x", "%default", "s\nconn x"],
  [
    "IPSEC_LOCALIP",
    "moon.example.com",
    "192.0.2",
    "0300.0.2.1",
    "0.0.0.0",
    "::",
    "224.0.0.1",
    "fe80::1",
    "fe80::1%eth0",
  ],
  [
    "IPSEC_REMOTEIP",
    "fe80::1",
    "fe80::1%eth0",
    "192.0.2.256",
    "vpn..example",
    "-vpn",
    "http://vpn",
    "255.255.255.255",
    "a b",
  ],
  ["IPSEC_LOCALID", "moon example", "@", "@#xyz", "keyid:", "a@b@c", 'CN="x', "CN=x, nonsense=y", "1.2.3"],
  ["IPSEC_REMOTEID", "moön", "x\ny", "a : b"],
  [
    "IPSEC_LOCALNET",
    "fe80::/64",
    "10.1.0.0/33",
    "10.1.0.0/",
    "10.1/16",
    "net",
    "10.1.0.0/16,",
    ",",
    "10.1.0.0-10.2.0.0",
  ],
  [
    "IPSEC_REMOTENET",
    "10.2.0.0/016",
    "2001:db8::/129",
    "10.2.0.0/16,fe80::1",
    Array.from({ length: 256 }, (_, n) => `10.2.${n}.0/24`).join(","),
  ],
  ["IPSEC_PSK", "0xabc", "0xzz", "0x", "0s", "0s!!!!", "0sQUJD=", "0sQ"],
  ["IPSEC_KEYEXCHANGE", "ikev3", "2"],
  ["IPSEC_IKECIPHER", "aes128-sha26-modp3072", "aes128", "default"],
  ["IPSEC_ESPCIPHER", "aes128gcm16-sha256-aes128", "sha256", "aes128"],
  ["IPSEC_LIFETIME", "119", "119s", "1.5", "25h", "1.0001h", "1w", "-1h", "1 h", "1e3"],
  ["IPSEC_IKELIFETIME", "2m1", "0", "86401"],
  ["IPSEC_FORCEUDP", "maybe", "2", "y"],
  ["IPSEC_IKEREAUTH", "never"],
  ["IPSEC_INTERFACES", "eth0,", "a/b", "eth 0", "sixteen-letters-", "eth0}", ".", "eth0#"],
  ["SET_ROUTE_DEFAULT_TABLE", "da"],
  ["IPSEC_VTI_KEY", "0", "0x0", "4294967296", "0x100000000", "-1", "1.5", "1e3", "042", " 4 2"],
  ["IPSEC_VTI_STATICROUTES", "default", "fe80::/10", "10.0.0.0/33"],
  ["IPSEC_VTI_IPADDR_LOCAL", "169.254.10.1/33", "169.254.10.1/0", "x", "1.2.3.4/5/6", "1.2.3.4/"],
  ["IPSEC_VTI_IPADDR_PEER", "169.254.10.2/30", "peer"],
  ["IPSEC_XFRM_IF_ID", "0", "4294967296", "0x", "4 2", "%unique"],
  ["IPSEC_XFRM_STATICROUTES", "default", "fe80::/10", "::/129"],
  ["IPSEC_XFRM_IPADDR_LOCAL", "169.254.10.1/33", "169.254.10.1,169.254.10.5", "fd00::1,fd00::2", ","],
  ["IPSEC_XFRM_IPADDR_PEER", "169.254.10.2/30", "169.254.10.2,169.254.10.3", "peer"],
  ["IPSEC_MTU", "575", "9001", "0576", "0x5dc", "1400.5", "1e3", "none", "99999", "-1400"],
  ["IPSEC_MSS", "575", "9001", "1360,1340", "pmtu", "no"],
  ["IPSEC_NAT_EXEMPT", "maybe", "10.1.0.0/16"],
  ["IPSEC_DATAPLANE", "kernal"],
  ["IPSEC_START", "routed", "route,add", "route,start,add", ","],
  ["IPSEC_DPD_DELAY", "0", "0.5s", "2h"],
  ["IPSEC_DPD_TIMEOUT", "61m"],
  ["IPSEC_DPD_ACTION", "hold"],
  ["LOG_LEVEL", "verbose"],
  ["LOG_FORMAT", "text"],
];

test("each variable refuses bad values, by its name, with the value and a hint", () => {
  for (const [name, ...texts] of refused) {
    for (const text of texts) {
      const { settings, errors } = parse({ IPSEC_VTI_KEY: "7", [name]: text });
      assert.equal(settings, undefined, `${name}=${text}`);
      const own = errors.filter((problem) => problem.variable === name);
      assert.ok(own.length > 0, `${name}=${text}: ${JSON.stringify(errors)}`);
      for (const { message, hint } of own) {
        assert.ok(message.startsWith(`${name}: `), message);
        assert.ok(hint, `${message} has no hint`);
        assert.match(message, /^[^\n]*[^.\n]$/);
      }
    }
  }
});

test("the refused value is shown, but for the key", () => {
  const [bad] = parse({ IPSEC_LOCALIP: "192.0.2.300" }).errors;
  assert.match(bad?.message ?? "", /"192\.0\.2\.300"/);
  const { errors } = parse({ IPSEC_PSK: "0xcafegarbage" });
  assert.deepEqual(variablesOf(errors), ["IPSEC_PSK"]);
  assert.doesNotMatch(JSON.stringify(errors), /cafe|garbage/);
});

test("what is link-local in IPv6 is refused as such, as an end or as a network", () => {
  const { errors } = parse({
    IPSEC_LOCALIP: "fe80::1%eth0",
    IPSEC_REMOTEIP: "fe80::2",
    IPSEC_LOCALNET: "fe80::/64",
    IPSEC_REMOTENET: "2001:db8:2::/64,fe80:1::/32",
    IPSEC_VTI_KEY: "7",
    IPSEC_VTI_STATICROUTES: "fe80::/10",
  });
  assert.deepEqual(variablesOf(errors), [
    "IPSEC_LOCALIP",
    "IPSEC_LOCALNET",
    "IPSEC_REMOTEIP",
    "IPSEC_REMOTENET",
    "IPSEC_VTI_STATICROUTES",
  ]);
  for (const { message, hint } of errors) {
    assert.match(message, /"fe80:.*" is (?:a )?link-local/);
    assert.match(hint ?? "", /RFC 4193/);
  }
});

test("everything wrong is told at once", () => {
  const { errors } = parseSettings(
    environmentOf({
      IPSEC_LOCALIP: "x",
      IPSEC_LOCALNET: "a,b",
      IPSEC_KEYEXCHANGE: "no",
      IPSEC_VTI_KEY: "0",
      IPSEC_LIFETIME: "1",
    }),
    "gateway",
  );
  assert.deepEqual(variablesOf(errors), [
    "IPSEC_LOCALIP",
    "IPSEC_LOCALNET",
    "IPSEC_LOCALNET",
    "IPSEC_KEYEXCHANGE",
    "IPSEC_LIFETIME",
    "IPSEC_VTI_KEY",
    "IPSEC_REMOTENET",
    "IPSEC_PSK",
    "IPSEC_REMOTEID, IPSEC_REMOTEIP",
  ]);
});

test("a variable that failed is not reported again by the checks of several", () => {
  assert.deepEqual(variablesOf(parse({ IPSEC_LOCALIP: "x" }).errors), ["IPSEC_LOCALIP"]);
  assert.deepEqual(variablesOf(parse({ IPSEC_LOCALIP: "%any", IPSEC_LOCALID: "a b" }).errors), [
    "IPSEC_LOCALID",
  ]);
  assert.deepEqual(variablesOf(parse({ IPSEC_REMOTENET: "x", SET_ROUTE_DEFAULT_TABLE: "yes" }).errors), [
    "IPSEC_REMOTENET",
  ]);
});

test("what is empty, blank or a pair of quotes counts as not set", () => {
  for (const text of ["", "  ", '""', "''", ' "" ']) {
    assert.equal(values({ IPSEC_LIFETIME: text }).IPSEC_LIFETIME, 3600, JSON.stringify(text));
    assert.deepEqual(
      variablesOf(parse({ IPSEC_LOCALNET: text }).errors),
      ["IPSEC_LOCALNET"],
      JSON.stringify(text),
    );
    assert.deepEqual(variablesOf(parse({ IPSEC_PSK: text }).errors), ["IPSEC_PSK"], JSON.stringify(text));
  }
});

test("one pair of quotes around all of a value is taken off with a warning", () => {
  for (const quote of ['"', "'"]) {
    const { settings, warnings } = parse({ IPSEC_LIFETIME: ` ${quote}2h${quote} ` });
    assert.equal(settings?.tunnels[0]?.IPSEC_LIFETIME, 7200);
    assert.deepEqual(variablesOf(warnings), ["IPSEC_LIFETIME"]);
    assert.match(warnings[0]?.message ?? "", /quotes/);
  }
});

test("quotes that are part of a key stay in it", () => {
  const keyOf = (text: string) =>
    Buffer.from(values({ IPSEC_PSK: text }).IPSEC_PSK?.reveal() ?? []).toString();
  assert.equal(keyOf('"twenty bytes and more than that"'), "twenty bytes and more than that");
  assert.equal(keyOf('"one" and another "two" text'), '"one" and another "two" text');
  assert.equal(keyOf('"one" and a quote at the end"'), '"one" and a quote at the end"');
  assert.equal(keyOf('"only one side has a quote mark'), '"only one side has a quote mark');
  assert.equal(keyOf(`'it is not "twenty", it is more'`), 'it is not "twenty", it is more');
});

test("a key is text, hexadecimal after 0x or base64 after 0s", () => {
  const keyOf = (text: string) =>
    Buffer.from(values({ IPSEC_PSK: text }).IPSEC_PSK?.reveal() ?? []).toString("latin1");
  assert.equal(keyOf("0x00ffFF20"), "\x00\xff\xff ");
  assert.equal(keyOf("0sAP8="), "\x00\xff");
  assert.equal(keyOf("0sAP8"), "\x00\xff", "padding may be left out");
  assert.equal(keyOf("0Xab"), "0Xab", "only the lower-case prefix means anything to strongSwan");
  assert.equal(keyOf("naïve"), Buffer.from("naïve").toString("latin1"));
});

test("a short key is warned of with its length and without its text", () => {
  const { warnings } = parse({ IPSEC_PSK: "hunter2" });
  assert.deepEqual(variablesOf(warnings), ["IPSEC_PSK"]);
  assert.match(warnings[0]?.message ?? "", /only 7 bytes/);
  assert.doesNotMatch(JSON.stringify(warnings), /hunter2/);
  assert.deepEqual(parse({ IPSEC_PSK: "x".repeat(20) }).warnings, []);
});

test("a key whose bytes the environment could not keep is refused", () => {
  assert.deepEqual(variablesOf(parse({ IPSEC_PSK: "caf\ufffd and twenty bytes more" }).errors), [
    "IPSEC_PSK",
  ]);
});

test("booleans are yes and no, true and false, on and off, 1 and 0, in any case", () => {
  for (const text of ["yes", "YES", "True", "on", "1"])
    assert.equal(values({ IPSEC_FORCEUDP: text }).IPSEC_FORCEUDP, true, text);
  for (const text of ["no", "No", "FALSE", "off", "0"])
    assert.equal(values({ IPSEC_FORCEUDP: text }).IPSEC_FORCEUDP, false, text);
});

test("the switches of the predecessor are on with any text that does not say no", () => {
  for (const name of ["IPSEC_USE_MANUAL_CONFIG", "IPSEC_MANUAL_CHARON", "DEBUG"] as const) {
    for (const text of ["yes", "TRUE", "1", "please", "2"])
      assert.equal(values({ [name]: text })[name], true, `${name}=${text}`);
    for (const text of ["no", "FALSE", "off", "0", ""])
      assert.equal(values({ [name]: text })[name], false, `${name}=${text}`);
  }
});

test("a manual configuration needs and renders no connection", () => {
  const { settings, errors, warnings } = parseSettings(
    environmentOf({ IPSEC_USE_MANUAL_CONFIG: "yes" }),
    "gateway",
  );
  assert.deepEqual({ errors, warnings }, { errors: [], warnings: [] });
  assert.deepEqual(settings?.connections, []);
});

test("init needs neither networks nor a key, and does not judge what it does not use", () => {
  const { settings, errors } = parseSettings(
    environmentOf({
      IPSEC_LOCALIP: "192.0.2.1",
      IPSEC_REMOTEIP: "192.0.2.2",
      IPSEC_VTI_KEY: "42",
      IPSEC_PSK: "0x",
      IPSEC_LIFETIME: "1",
    }),
    "init",
  );
  assert.deepEqual(errors, []);
  assert.equal(settings?.tunnels[0]?.IPSEC_VTI_KEY, 42);
});

test("an unknown name that begins with IPSEC_ is warned of with the nearest known one", () => {
  const { settings, warnings } = parse({
    IPSEC_REMOTE_IP: "x",
    IPSEC_PSKFILE: "x",
    IPSEC_XAUTH_USER: "x",
    OTHER: "x",
    ipsec_psk: "x",
  });
  assert.ok(settings);
  assert.deepEqual(
    warnings.map(({ variable, hint }) => [variable, hint]),
    [
      ["IPSEC_REMOTE_IP", "did you mean IPSEC_REMOTEIP?"],
      ["IPSEC_PSKFILE", "did you mean IPSEC_PSK_FILE?"],
      ["IPSEC_XAUTH_USER", "vnf-ipsec variables lists them all"],
    ],
  );
});

test("names of things in JavaScript are no variables", () => {
  const { warnings } = parse({ IPSEC___proto__: "x", IPSEC_constructor: "x" });
  assert.deepEqual(variablesOf(warnings), ["IPSEC___proto__", "IPSEC_constructor"]);
});
