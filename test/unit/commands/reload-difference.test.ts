import assert from "node:assert/strict";
import { after, test } from "node:test";
import { inspectSettings, requireSettings } from "../../../src/commands/load-settings.ts";
import { type PlannedGateway, planGateway } from "../../../src/commands/planned-gateway.ts";
import { reloadDifference } from "../../../src/commands/reload-difference.ts";
import { describeReload } from "../../../src/commands/reload-plan.ts";
import { createPki } from "../../support/pki.ts";

const environment = {
  IPSEC_LOCALIP: "192.0.2.1",
  IPSEC_REMOTEIP: "192.0.2.2",
  IPSEC_LOCALNET: "10.1.0.0/16",
  IPSEC_REMOTENET: "10.2.0.0/16",
  IPSEC_PSK: "a pre-shared key of more than twenty bytes",
};

const pki = createPki();
after(() => pki[Symbol.dispose]());
const root = pki.root("/CN=root");

const certificates = () => {
  const { certificate, privateKey } = root.issue({ subject: "/CN=moon" });
  return {
    IPSEC_AUTH: "pubkey",
    IPSEC_CERT: certificate,
    IPSEC_PRIVATE_KEY: privateKey,
    IPSEC_CA_CERT: root.certificate,
  };
};
const present = certificates();

const planned = async (changes: Readonly<Record<string, string>> = {}): Promise<PlannedGateway> => {
  const { settings } = requireSettings(await inspectSettings({ ...environment, ...changes }, "gateway"));
  return planGateway(settings, "kernel", async ([program]) => {
    assert.equal(program, "ip");
    return { exitCode: 0, stdout: "", stderr: "" };
  });
};

const told = async (before: Readonly<Record<string, string>>, after: Readonly<Record<string, string>>) => {
  const [previous, next] = [await planned(before), await planned(after)];
  return describeReload(previous, next, reloadDifference(previous, next));
};

const nothing = {
  added: [],
  changed: [],
  withOtherKey: [],
  removed: [],
  unchanged: 0,
  mounted: false,
  routes: { added: [], removed: [] },
  virtualInterfaces: { added: [], changed: [], removed: [] },
  packetRules: [],
  variables: [],
  atNextStart: [],
};

for (const IPSEC_BACKEND of ["stroke", "swanctl"]) {
  test(`a reload finds another certificate, and nothing where they are the same, ${IPSEC_BACKEND}`, async () => {
    const before = { ...present, IPSEC_BACKEND };
    assert.deepEqual(await told(before, before), { ...nothing, unchanged: 1 });
    for (const [after, expected] of [
      [{ ...before, ...certificates() }, { changed: ["site"] }],
      [{ ...before, IPSEC_CA_CERT: pki.root("/CN=root").certificate }, { changed: ["site"] }],
      [{ IPSEC_BACKEND }, { changed: ["site"] }],
      [
        { ...before, IPSEC_REVOCATION: "strict" },
        { changed: ["site"], variables: ["IPSEC_REVOCATION"] },
      ],
      [
        { ...before, IPSEC_REVOCATION: "off" },
        { unchanged: 1, variables: ["IPSEC_REVOCATION"] },
      ],
    ] as const)
      assert.deepEqual(await told(before, after), { ...nothing, ...expected });
  });

  const cases: readonly (readonly [string, Record<string, string>, object])[] = [
    ["nothing", {}, { unchanged: 1 }],
    ["what strongSwan does not see", { IPSEC_LIFETIME: "60m" }, { unchanged: 1 }],
    ["a network", { IPSEC_REMOTENET: "10.3.0.0/16" }, { changed: ["site"] }],
    ["the key alone", { IPSEC_PSK: "another key of more than twenty bytes" }, { withOtherKey: ["site"] }],
    [
      "the key and a network",
      { IPSEC_PSK: "another key of more than twenty bytes", IPSEC_REMOTENET: "10.3.0.0/16" },
      { changed: ["site"] },
    ],
    ["the name", { IPSEC_NAME: "other" }, { added: ["other"], removed: ["site"] }],
    ["a level of the log", { LOG_LEVEL: "warn" }, { unchanged: 1, variables: ["LOG_LEVEL"] }],
    [
      "what is read at the start only",
      { IPSEC_DATAPLANE: "kernel" },
      { unchanged: 1, variables: ["IPSEC_DATAPLANE"], atNextStart: ["IPSEC_DATAPLANE"] },
    ],
    [
      "the interfaces of charon",
      { IPSEC_INTERFACES: "eth0" },
      { unchanged: 1, restart: "IPSEC_INTERFACES is another", variables: ["IPSEC_INTERFACES"] },
    ],
    [
      "the routes",
      { SET_ROUTE_DEFAULT_TABLE: "yes" },
      { unchanged: 1, routes: { added: ["10.2.0.0/16"], removed: [] } },
    ],
    ["the size of TCP segments", { IPSEC_MSS: "1300" }, { unchanged: 1, packetRules: ["site"] }],
    ["the exemption from NAT", { IPSEC_NAT_EXEMPT: "yes" }, { unchanged: 1, packetRules: ["site"] }],
    [
      "a virtual interface",
      { IPSEC_VTI_KEY: "7" },
      {
        changed: ["site"],
        restart: "charon installs routes only where there is no virtual interface",
        virtualInterfaces: { added: ["vti7"], changed: [], removed: [] },
      },
    ],
    [
      "a configuration that is mounted",
      { IPSEC_USE_MANUAL_CONFIG: "yes" },
      {
        removed: ["site"],
        restart: "IPSEC_USE_MANUAL_CONFIG is another",
        mounted: true,
        variables: ["IPSEC_USE_MANUAL_CONFIG"],
      },
    ],
  ];
  for (const [what, changes, expected] of cases)
    test(`with ${IPSEC_BACKEND} a reload that changes ${what} is told as that`, async () => {
      const before = { IPSEC_BACKEND };
      assert.deepEqual(await told(before, { ...before, ...changes }), { ...nothing, ...expected });
    });
}

test("another backend, and charon.conf of one's own, need another charon", async () => {
  assert.equal((await told({}, { IPSEC_BACKEND: "swanctl" })).restart, "IPSEC_BACKEND is another");
  for (const [before, after] of [
    [{}, { IPSEC_MANUAL_CHARON: "yes" }],
    [{ IPSEC_MANUAL_CHARON: "yes" }, {}],
  ])
    assert.equal((await told(before ?? {}, after ?? {})).restart, "IPSEC_MANUAL_CHARON is another");
});
