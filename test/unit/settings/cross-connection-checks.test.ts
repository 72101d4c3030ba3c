import assert from "node:assert/strict";
import { test } from "node:test";
import { parseSettings } from "../../../src/settings/parse-settings.ts";
import type { Purpose } from "../../../src/settings/settings.ts";
import { createSettingsMemory } from "../../../src/settings/settings-memory.ts";
import { environmentOf } from "../../support/environment-of.ts";
import { type Authority, createPki, type Issued } from "../../support/pki.ts";

type Variables = Readonly<Record<string, string>>;

const common = {
  IPSEC_LOCALIP: "192.0.2.1",
  IPSEC_LOCALNET: "10.1.0.0/16",
  IPSEC_PSK: "a long text that nobody guesses",
} as const;

const berlin = { ...common, IPSEC_REMOTEIP: "192.0.2.2", IPSEC_REMOTENET: "10.2.0.0/16" };
const paris = { ...common, IPSEC_REMOTEIP: "192.0.2.3", IPSEC_REMOTENET: "10.3.0.0/16" };

const check = (
  connections: Readonly<Record<string, Variables>>,
  purpose: Purpose = "gateway",
  environment: Variables = {},
) => {
  const { settings, errors, warnings } = parseSettings(
    environmentOf(environment),
    purpose,
    Object.entries(connections).map(([name, variables], index) => ({
      name,
      place: { file: "site.yaml", line: index + 1, path: `connections.${name}` },
      environment: environmentOf(variables),
    })),
  );
  return {
    settings,
    errors: errors.map(({ message }) => message),
    warnings: warnings.map(({ message }) => message),
  };
};

test("connections that share nothing are valid, each with its name and its own values", () => {
  const { settings, errors, warnings } = check({ berlin, paris: { ...paris, IPSEC_LIFETIME: "2h" } });
  assert.deepEqual({ errors, warnings }, { errors: [], warnings: [] });
  assert.deepEqual(
    settings?.connections.map((one) => [one.IPSEC_NAME, one.IPSEC_LIFETIME, one.IPSEC_REMOTEID]),
    [
      ["berlin", 3600, { kind: "ipv4", text: "192.0.2.2" }],
      ["paris", 7200, { kind: "ipv4", text: "192.0.2.3" }],
    ],
  );
});

test("what is wrong in one is told with its place", () => {
  const { errors } = check({
    berlin,
    paris: { ...paris, IPSEC_REMOTENET: "10.1.0.0/24", IPSEC_REMOTEIP: "%any" },
  });
  assert.deepEqual(errors, [
    "site.yaml:2: connections.paris: IPSEC_REMOTEID is not set, and IPSEC_REMOTEIP=%any gives no identity",
    "site.yaml:2: connections.paris: IPSEC_LOCALNET=10.1.0.0/16 and IPSEC_REMOTENET=10.1.0.0/24 overlap, so it is undecided where their addresses are",
  ]);
});

test("connections may share an XFRM interface, in what it can have only once if they agree", () => {
  const xfrm = { IPSEC_XFRM_IF_ID: "42", IPSEC_XFRM_IPADDR_LOCAL: "169.254.10.1" };
  const sharing = { berlin: { ...berlin, ...xfrm }, paris: { ...paris, ...xfrm } };
  assert.deepEqual(check(sharing, "init").errors, []);
  const { errors } = check({ ...sharing, paris: { ...paris, ...xfrm, IPSEC_MTU: "1300" } }, "init");
  assert.deepEqual(errors, [
    "IPSEC_MTU is auto for berlin and 1300 for paris, which share IPSEC_XFRM_IF_ID=42",
  ]);
});

test("two connections with the same ends and identities are refused", () => {
  const { errors } = check({ berlin, paris: { ...paris, IPSEC_REMOTEIP: "192.0.2.2" } });
  assert.deepEqual(errors, [
    "site.yaml:2: connections.paris: its ends and their identities are those of berlin, so nobody can tell the two apart",
  ]);
  assert.deepEqual(
    check({ berlin, paris: { ...paris, IPSEC_REMOTEIP: "192.0.2.2", IPSEC_REMOTEID: "paris.example.com" } })
      .errors,
    [],
  );
});

test("one pair of identities has one key, and so have the same ends with IKEv1", () => {
  const ids = { IPSEC_LOCALID: "moon.example.com", IPSEC_REMOTEID: "sun.example.com" };
  const other = { ...paris, ...ids, IPSEC_PSK: "another long text that nobody guesses" };
  assert.deepEqual(check({ berlin: { ...berlin, ...ids }, paris: other }).errors, [
    "site.yaml:2: connections.paris: its key is not that of berlin, though its identities are, by which a key is found",
  ]);
  const anywhere = { IPSEC_REMOTEIP: "%any", IPSEC_START: "add", IPSEC_KEYEXCHANGE: "ikev1" };
  const callers = {
    berlin: { ...berlin, ...anywhere, IPSEC_REMOTEID: "berlin.example.com" },
    paris: { ...other, ...anywhere, IPSEC_REMOTEID: "paris.example.com" },
  };
  assert.deepEqual(check(callers).errors, [
    "site.yaml:2: connections.paris: its key is not that of berlin, though its ends are, by which IKEv1 finds a key (RFC 2409 §5.4)",
  ]);
});

test("two virtual interfaces have neither the key nor the ends in common, for init too", () => {
  const vti = { IPSEC_VTI_KEY: "42" };
  for (const purpose of ["gateway", "init"] as const) {
    assert.deepEqual(check({ berlin: { ...berlin, ...vti }, paris: { ...paris, ...vti } }, purpose).errors, [
      "site.yaml:2: connections.paris: IPSEC_VTI_KEY is also that of berlin, and makes one interface",
    ]);
    const sameEnds = { ...paris, IPSEC_REMOTEIP: "192.0.2.2", IPSEC_REMOTEID: "paris", IPSEC_VTI_KEY: "43" };
    assert.deepEqual(check({ berlin: { ...berlin, ...vti }, paris: sameEnds }, purpose).errors, [
      "site.yaml:2: connections.paris: its virtual interface has the ends of that of berlin, by which the kernel knows them",
    ]);
  }
});

test("a pair of networks has one tunnel, unless virtual interfaces tell them apart; of enclosed networks is warned", () => {
  assert.deepEqual(check({ berlin, paris: { ...paris, IPSEC_REMOTENET: "10.2.0.0/16" } }).errors, [
    "site.yaml:2: connections.paris: packets from 10.1.0.0/16 to 10.2.0.0/16 are those of berlin already",
  ]);
  const withInterfaces = {
    berlin: { ...berlin, IPSEC_VTI_KEY: "42", IPSEC_REMOTENET: "0.0.0.0/0" },
    paris: { ...paris, IPSEC_VTI_KEY: "43", IPSEC_REMOTENET: "0.0.0.0/0" },
  };
  const apart = check(withInterfaces);
  assert.deepEqual([apart.errors, apart.warnings], [[], []]);
  const { errors, warnings } = check({ berlin, paris: { ...paris, IPSEC_REMOTENET: "10.2.3.0/24" } });
  assert.deepEqual(errors, []);
  assert.deepEqual(warnings, [
    "site.yaml:1: connections.berlin: 10.2.0.0/16 encloses 10.2.3.0/24 of paris, where the smaller network wins",
  ]);
});

test("on one XFRM interface a pair of networks has one tunnel too, and one peer may have everything else", () => {
  const shared = { IPSEC_XFRM_IF_ID: "7", IPSEC_BACKEND: "swanctl" };
  const withInterface = (networks: string) => ({
    berlin: { ...berlin, ...shared },
    paris: { ...paris, ...shared, IPSEC_REMOTENET: networks },
  });
  assert.deepEqual(check(withInterface("10.2.0.0/16"), "gateway", shared).errors, [
    "site.yaml:2: connections.paris: packets from 10.1.0.0/16 to 10.2.0.0/16 are those of berlin already",
  ]);
  const { errors, warnings } = check(withInterface("10.2.0.0/15"), "gateway", shared);
  assert.deepEqual([errors, warnings], [[], []]);
});

test("IPSEC_NAME has no effect then, and says so", () => {
  const { warnings } = parseSettings(environmentOf({ IPSEC_NAME: "site" }), "gateway", []);
  assert.deepEqual(
    warnings.map(({ message }) => message),
    ["IPSEC_NAME has no effect beside IPSEC_CONFIG_FILE"],
  );
});

/** Two connections and more that differ in their peer alone, and in what is changed of each. */
const certified = (...changes: readonly Variables[]): Readonly<Record<string, Variables>> => {
  const { IPSEC_PSK: _, ...withoutKey } = common;
  return Object.fromEntries(
    changes.map((one, index) => [
      `c${index}`,
      {
        ...withoutKey,
        IPSEC_REMOTEIP: `192.0.2.${index + 2}`,
        IPSEC_REMOTENET: `10.${index + 2}.0.0/16`,
        IPSEC_AUTH: "pubkey",
        ...one,
      },
    ]),
  );
};

const ownedBy = ({ certificate, privateKey }: Issued, ...chain: readonly Issued[]): Variables => ({
  IPSEC_CERT: [certificate, ...chain.map((one) => one.certificate)].join(""),
  IPSEC_PRIVATE_KEY: privateKey,
});

test("two CAs of one name cannot be told apart in ipsec.conf, whichever of them is a root", () => {
  using pki = createPki();
  const [root, renamed, other] = [pki.root("/CN=root"), pki.root("/CN=root"), pki.root("/CN=other")];
  const below = other.authority({ subject: "/CN=root" });
  const moon = { subject: "/CN=moon" };
  const trusting = (authority: Authority, ...more: readonly Authority[]) => ({
    ...ownedBy(other.issue(moon)),
    IPSEC_CA_CERT: [authority, ...more].map(({ certificate }) => certificate).join(""),
  });
  const refused =
    'site.yaml:2: connections.c1: its CA is not that of c0, though both call themselves "CN=root", by which ipsec.conf finds them';
  const withChain = { ...trusting(other), ...ownedBy(below.issue(moon), below) };
  assert.deepEqual(check(certified(trusting(root), trusting(root), trusting(other))).errors, []);
  for (const second of [trusting(renamed), trusting(other, below), withChain]) {
    assert.deepEqual(check(certified(trusting(root), second)).errors, [refused]);
    assert.deepEqual(check(certified(second, trusting(root))).errors, [refused]);
    const swanctl = { IPSEC_BACKEND: "swanctl" };
    assert.deepEqual(check(certified(trusting(root), second), "gateway", swanctl).errors, []);
  }
  // Nobody looks for them by their name.
  const twin = other.authority({ subject: "/CN=root" });
  assert.deepEqual(check(certified(trusting(other, below), trusting(other, twin))).errors, []);
});

test("a peer's identity has one certificate of a kind, if that itself is trusted", () => {
  using pki = createPki();
  const root = pki.root("/CN=root");
  const own = ownedBy(root.issue({ subject: "/CN=moon" }));
  const sun = { subject: "/CN=sun" };
  const [former, present] = [root.issue(sun), root.issue(sun)];
  const pinning = ({ certificate }: Issued, identity = "") => ({
    ...own,
    IPSEC_REMOTE_CERT: certificate,
    IPSEC_REMOTEID: identity,
  });
  const refused =
    "site.yaml:2: connections.c1: its IPSEC_REMOTE_CERT is not that of c0, though its peer has the same identity, by which a certificate is found";
  for (const identity of ["", "CN=sun", "CN=SUN"])
    assert.deepEqual(check(certified(pinning(former), pinning(present, identity))).errors, [refused]);
  for (const second of [
    pinning(former),
    pinning(root.issue({ subject: "/CN=mars" })),
    pinning(root.issue({ ...sun, kind: "rsa" })),
    { ...own, IPSEC_CA_CERT: root.certificate, IPSEC_REMOTEID: "CN=sun" },
  ])
    assert.deepEqual(check(certified(pinning(former), second)).errors, []);
});

test("what has not changed since the last reading has the same values, and what has, or complains, is read again", () => {
  const memory = createSettingsMemory();
  const read = (connections: Readonly<Record<string, Variables>>, environment: Variables = {}) => {
    const listed = Object.entries(connections).map(([name, variables], index) => ({
      name,
      place: { file: "site.yaml", line: index + 1, path: `connections.${name}` },
      environment: environmentOf(variables),
    }));
    const { settings, warnings } = parseSettings(environmentOf(environment), "gateway", listed, { memory });
    return { values: settings?.connections ?? assert.fail(), warnings };
  };
  const weak = { ...paris, IPSEC_PSK: "short" };
  const first = read({ berlin, paris: weak });
  const second = read({ paris: weak, berlin: { ...berlin } });
  assert.equal(second.values[1], first.values[0]);
  assert.notEqual(second.values[0], first.values[1]);
  assert.match(second.warnings[0]?.message ?? "", /^site\.yaml:1: connections\.paris|^IPSEC_PSK/);
  const third = read({ berlin: { ...berlin, IPSEC_LIFETIME: "2h" } });
  assert.equal(third.values[0]?.IPSEC_LIFETIME, 7200);
  const fourth = read({ berlin: { ...berlin, IPSEC_LIFETIME: "2h" } }, { IPSEC_DATAPLANE: "userspace" });
  assert.equal(fourth.values[0]?.IPSEC_DATAPLANE, "userspace");
});
