import assert from "node:assert/strict";
import { test } from "node:test";
import { parseSettings } from "../../../src/settings/parse-settings.ts";
import type { Purpose } from "../../../src/settings/settings.ts";
import { environmentOf, minimal } from "../../support/environment-of.ts";

type Changes = Readonly<Record<string, string>>;

const problemsOf = (changes: Changes, purpose: Purpose = "gateway") => {
  const { errors, warnings } = parseSettings(environmentOf({ ...minimal, ...changes }), purpose);
  for (const { message, hint } of [...errors, ...warnings]) assert.ok(hint, `${message} has no hint`);
  return { errors, warnings };
};

const expectError = (changes: Changes, variables: string, message: RegExp, purpose: Purpose = "gateway") => {
  const { errors } = problemsOf(changes, purpose);
  assert.deepEqual(
    errors.map(({ variable }) => variable),
    [variables],
    JSON.stringify({ changes, errors }),
  );
  assert.match(errors[0]?.message ?? "", message);
};

const expectWarning = (changes: Changes, variables: string, message: RegExp) => {
  const { errors, warnings } = problemsOf(changes);
  assert.deepEqual(errors, []);
  assert.deepEqual(
    warnings.map(({ variable }) => variable),
    [variables],
    JSON.stringify({ changes, warnings }),
  );
  assert.match(warnings[0]?.message ?? "", message);
};

const expectNothing = (changes: Changes) =>
  assert.deepEqual(problemsOf(changes), { errors: [], warnings: [] }, JSON.stringify(changes));

test("%any at an end needs an identity of that end", () => {
  expectError({ IPSEC_LOCALIP: "%any" }, "IPSEC_LOCALID, IPSEC_LOCALIP", /IPSEC_LOCALIP=%any/);
  expectError({ IPSEC_REMOTEIP: "%any" }, "IPSEC_REMOTEID, IPSEC_REMOTEIP", /IPSEC_REMOTEIP=%any/);
  expectNothing({ IPSEC_LOCALIP: "%any", IPSEC_LOCALID: "moon" });
  expectNothing({ IPSEC_REMOTEIP: "%any", IPSEC_REMOTEID: "sun" });
});

test("%any is no identity to present, and one to accept only with a warning", () => {
  expectError({ IPSEC_LOCALID: "%any" }, "IPSEC_LOCALID", /no identity to present/);
  expectWarning({ IPSEC_REMOTEID: "%any" }, "IPSEC_REMOTEID", /every peer that knows the key/);
});

test("the name of the peer's address becomes its identity with a warning", () => {
  expectWarning({ IPSEC_REMOTEIP: "vpn.example.com" }, "IPSEC_REMOTEID, IPSEC_REMOTEIP", /vpn\.example\.com/);
  expectNothing({ IPSEC_REMOTEIP: "vpn.example.com", IPSEC_REMOTEID: "sun" });
});

test("the two ends differ, are of one family, and should have different identities", () => {
  expectError(
    { IPSEC_REMOTEIP: "192.0.2.1", IPSEC_REMOTEID: "sun" },
    "IPSEC_LOCALIP, IPSEC_REMOTEIP",
    /both 192\.0\.2\.1/,
  );
  expectError({ IPSEC_REMOTEIP: "2001:db8::2" }, "IPSEC_LOCALIP, IPSEC_REMOTEIP", /not of one family/);
  expectWarning(
    { IPSEC_LOCALID: "moon", IPSEC_REMOTEID: "moon" },
    "IPSEC_LOCALID, IPSEC_REMOTEID",
    /identity "moon"/,
  );
});

test("networks share a family", () => {
  expectError(
    { IPSEC_REMOTENET: "2001:db8:2::/48" },
    "IPSEC_LOCALNET, IPSEC_REMOTENET",
    /no address family in common/,
  );
  expectNothing({ IPSEC_LOCALNET: "10.1.0.0/16,2001:db8:1::/48", IPSEC_REMOTENET: "10.2.0.0/16" });
});

test("networks do not overlap, except everything over a virtual interface", () => {
  const ends = "IPSEC_LOCALNET, IPSEC_REMOTENET";
  expectError(
    { IPSEC_REMOTENET: "10.1.2.0/24" },
    ends,
    /10\.1\.0\.0\/16 and IPSEC_REMOTENET=10\.1\.2\.0\/24 overlap/,
  );
  expectError({ IPSEC_LOCALNET: "2001:db8::/32", IPSEC_REMOTENET: "2001:db8:1::/48" }, ends, /overlap/);
  expectError({ IPSEC_REMOTENET: "10.1.2.0/24", IPSEC_VTI_KEY: "42" }, ends, /overlap/);
  expectError({ IPSEC_LOCALNET: "0.0.0.0/0" }, ends, /overlap/);
  expectNothing({ IPSEC_LOCALNET: "0.0.0.0/0", IPSEC_REMOTENET: "0.0.0.0/0", IPSEC_VTI_KEY: "42" });
  expectNothing({ IPSEC_LOCALNET: "10.1.0.0/17", IPSEC_REMOTENET: "10.1.128.0/17" });
});

test("everything as the remote network would cut the host off, unless a virtual interface takes it", () => {
  expectError(
    { IPSEC_REMOTENET: "0.0.0.0/0" },
    "IPSEC_REMOTENET",
    /0\.0\.0\.0\/0 without a virtual interface/,
  );
  expectError(
    { IPSEC_LOCALNET: "2001:db8::/32", IPSEC_REMOTENET: "::/0" },
    "IPSEC_REMOTENET",
    /::\/0 without/,
  );
  expectNothing({ IPSEC_REMOTENET: "0.0.0.0/0", IPSEC_VTI_KEY: "42" });
});

test("host bits are a warning with both readings", () => {
  expectWarning({ IPSEC_LOCALNET: "10.1.2.3/16" }, "IPSEC_LOCALNET", /"10\.1\.2\.3\/16".*10\.1\.0\.0\/16/);
});

test("an IKE SA that ends before its CHILD SA is warned of", () => {
  expectWarning(
    { IPSEC_IKELIFETIME: "30m" },
    "IPSEC_IKELIFETIME, IPSEC_LIFETIME",
    /1800 s\) is shorter than IPSEC_LIFETIME \(3600 s\)/,
  );
  expectNothing({ IPSEC_IKELIFETIME: "1h" });
});

test("ike with several networks, and a timeout that IKEv2 does not have, are warned of", () => {
  expectWarning(
    { IPSEC_KEYEXCHANGE: "ike", IPSEC_REMOTENET: "10.2.0.0/16,10.3.0.0/16" },
    "IPSEC_KEYEXCHANGE, IPSEC_LOCALNET, IPSEC_REMOTENET",
    /first pair/,
  );
  expectWarning({ IPSEC_DPD_TIMEOUT: "60s" }, "IPSEC_DPD_TIMEOUT", /no effect with IKEv2/);
  expectNothing({ IPSEC_DPD_TIMEOUT: "60s", IPSEC_KEYEXCHANGE: "ikev1" });
});

test("IKEv1 takes the classic half of the defaults in silence, and refuses proposals that leave it nothing", () => {
  expectNothing({ IPSEC_KEYEXCHANGE: "ikev1" });
  const { errors } = problemsOf({
    IPSEC_KEYEXCHANGE: "ikev1",
    IPSEC_IKECIPHER: "aes256gcm16-prfsha384-ecp384",
  });
  assert.deepEqual(
    errors.map(({ variable }) => variable),
    ["IPSEC_IKECIPHER, IPSEC_KEYEXCHANGE"],
  );
});

test("weak algorithms are warned of by name, strong ones are not", () => {
  for (const [text, word] of [
    ["3des-sha256-modp3072", /3des/],
    ["aes128-sha1-modp3072", /sha1/],
    ["aes128-md5-modp3072", /md5/],
    ["aes128-sha256-modp1024", /modp1024/],
  ] as const) {
    const { errors, warnings } = problemsOf({ IPSEC_IKECIPHER: text });
    assert.deepEqual(errors, []);
    assert.ok(
      warnings.some(({ variable, message }) => variable === "IPSEC_IKECIPHER" && word.test(message)),
      text,
    );
  }
  expectNothing({ IPSEC_IKECIPHER: "aes256gcm16-prfsha384-ecp384", IPSEC_ESPCIPHER: "aes256gcm16-ecp384" });
});

test("a cipher that Linux lacks is refused where ESP must run in the kernel, and warned of where it may", () => {
  const cipher = { IPSEC_ESPCIPHER: "camellia128ctr-sha256" };
  expectError({ ...cipher, IPSEC_DATAPLANE: "kernel" }, "IPSEC_ESPCIPHER", /camellia128ctr/);
  expectWarning(cipher, "IPSEC_ESPCIPHER", /camellia128ctr/);
});

test("to a peer of unknown address nothing can be started", () => {
  const any = { IPSEC_REMOTEIP: "%any", IPSEC_REMOTEID: "sun" };
  for (const start of ["start", "route", "route,start"]) {
    expectError({ ...any, IPSEC_START: start }, "IPSEC_START, IPSEC_REMOTEIP", /address is unknown/);
  }
  expectNothing({ ...any, IPSEC_START: "add" });
});

test("a virtual interface needs addresses, in init as in run", () => {
  const vti = { IPSEC_VTI_KEY: "42" };
  for (const purpose of ["gateway", "init"] as const) {
    const ends = { ...vti, IPSEC_REMOTEIP: "vpn.example.com", IPSEC_REMOTEID: "sun" };
    expectError(ends, "IPSEC_REMOTEIP, IPSEC_VTI_KEY", /is a name/, purpose);
    expectError(
      { ...vti, IPSEC_REMOTEIP: "2001:db8::2" },
      "IPSEC_LOCALIP, IPSEC_REMOTEIP",
      /one family/,
      purpose,
    );
    expectError(
      { ...vti, IPSEC_VTI_IPADDR_PEER: "169.254.0.2" },
      "IPSEC_VTI_IPADDR_PEER, IPSEC_VTI_IPADDR_LOCAL",
      /IPSEC_VTI_IPADDR_LOCAL is not/,
      purpose,
    );
    expectError(
      { ...vti, IPSEC_VTI_IPADDR_PEER: "169.254.0.2", IPSEC_VTI_IPADDR_LOCAL: "2001:db8::1" },
      "IPSEC_VTI_IPADDR_LOCAL, IPSEC_VTI_IPADDR_PEER",
      /one family/,
      purpose,
    );
  }
  expectError(
    { ...vti, IPSEC_DATAPLANE: "userspace" },
    "IPSEC_VTI_KEY, IPSEC_DATAPLANE",
    /ESP in the kernel/,
  );
  expectNothing({ ...vti, IPSEC_VTI_IPADDR_LOCAL: "169.254.0.1/30", IPSEC_VTI_IPADDR_PEER: "169.254.0.2" });
});

test("the two keys that the IKE daemon takes for a mark of its own choice are refused", () => {
  for (const key of ["4294967295", "0xFFFFFFFE"]) {
    expectError({ IPSEC_VTI_KEY: key }, "IPSEC_VTI_KEY", /cannot mark packets/);
  }
  expectNothing({ IPSEC_VTI_KEY: "4294967293" });
});

test("details of a virtual interface without one are warned of", () => {
  expectWarning({ IPSEC_VTI_STATICROUTES: "10.9.0.0/16" }, "IPSEC_VTI_STATICROUTES", /without IPSEC_VTI_KEY/);
});

const xfrm = { IPSEC_XFRM_IF_ID: "42", IPSEC_BACKEND: "swanctl" };

test("an XFRM interface needs the swanctl backend and ESP in the kernel, mounted connections or not, but not in init", () => {
  for (const manual of ["no", "yes"]) {
    const changes = { IPSEC_USE_MANUAL_CONFIG: manual };
    expectError(
      { ...changes, IPSEC_XFRM_IF_ID: "42" },
      "IPSEC_XFRM_IF_ID, IPSEC_BACKEND",
      /ipsec\.conf, which IPSEC_BACKEND=stroke/,
    );
    expectError(
      { ...changes, ...xfrm, IPSEC_DATAPLANE: "userspace" },
      "IPSEC_XFRM_IF_ID, IPSEC_DATAPLANE",
      /ESP in the kernel/,
    );
    expectNothing({ ...changes, ...xfrm });
  }
  assert.deepEqual(problemsOf({ IPSEC_XFRM_IF_ID: "42" }, "init"), { errors: [], warnings: [] });
});

test("a tunnel has one virtual interface, of the one kind or the other, in init as in run", () => {
  for (const purpose of ["gateway", "init"] as const)
    expectError({ ...xfrm, IPSEC_VTI_KEY: "42" }, "IPSEC_XFRM_IF_ID, IPSEC_VTI_KEY", /both set/, purpose);
});

test("an XFRM interface lets everything be a network, and a peer's address of either family faces one of ours", () => {
  const everything = { IPSEC_LOCALNET: "0.0.0.0/0,::/0", IPSEC_REMOTENET: "0.0.0.0/0,::/0" };
  expectNothing({ ...xfrm, ...everything });
  expectNothing({ ...xfrm, IPSEC_REMOTEIP: "vpn.example.com", IPSEC_REMOTEID: "sun" });
  const local = { ...xfrm, IPSEC_XFRM_IPADDR_LOCAL: "169.254.0.1" };
  expectNothing({ ...local, IPSEC_XFRM_IPADDR_PEER: "169.254.0.2" });
  for (const purpose of ["gateway", "init"] as const)
    expectError(
      { ...local, IPSEC_XFRM_IPADDR_PEER: "169.254.0.2,fd00::2" },
      "IPSEC_XFRM_IPADDR_PEER, IPSEC_XFRM_IPADDR_LOCAL",
      /IPSEC_XFRM_IPADDR_PEER=fd00::2 has no address of its family/,
      purpose,
    );
});

test("the two identifiers that the IKE daemon takes for one of its own choice are refused, where it is told of them", () => {
  for (const id of ["4294967295", "0xFFFFFFFE"]) {
    expectError({ ...xfrm, IPSEC_XFRM_IF_ID: id }, "IPSEC_XFRM_IF_ID", /cannot tie a tunnel/);
    expectNothing({ ...xfrm, IPSEC_XFRM_IF_ID: id, IPSEC_USE_MANUAL_CONFIG: "yes" });
  }
});

test("details of an XFRM interface without one are warned of", () => {
  expectWarning(
    { IPSEC_XFRM_STATICROUTES: "10.9.0.0/16" },
    "IPSEC_XFRM_STATICROUTES",
    /without IPSEC_XFRM_IF_ID/,
  );
});

test("a route for everything needs a peer whose address is known, so that its packets can be kept out", () => {
  const ends = "IPSEC_XFRM_STATICROUTES, IPSEC_REMOTEIP";
  const any = { IPSEC_REMOTEIP: "%any", IPSEC_REMOTEID: "sun" };
  const routed = (routes: string) => ({ ...xfrm, IPSEC_XFRM_STATICROUTES: routes });
  expectNothing(routed("0.0.0.0/0,::/0"));
  expectError({ ...routed("10.0.0.0/8,0.0.0.0/0"), ...any }, ends, /=0\.0\.0\.0\/0 would lead .*=%any/);
  expectError(
    { ...routed("0.0.0.0/0"), IPSEC_REMOTEIP: "vpn.example.com", IPSEC_REMOTEID: "sun" },
    ends,
    /=vpn\.example\.com/,
    "init",
  );
  expectNothing({ ...routed("::/0"), ...any });
  expectError({ ...routed("::/0"), ...any, IPSEC_LOCALIP: "%any", IPSEC_LOCALID: "moon" }, ends, /=::\/0/);
  expectNothing({ ...routed("10.0.0.0/8"), ...any });
});

test("routes of the host need the remote networks in manual configuration too", () => {
  const manual = { IPSEC_USE_MANUAL_CONFIG: "yes", SET_ROUTE_DEFAULT_TABLE: "yes" };
  expectError(
    { ...manual, IPSEC_REMOTENET: "" },
    "SET_ROUTE_DEFAULT_TABLE, IPSEC_REMOTENET",
    /manual configuration too/,
  );
  expectNothing(manual);
});

test("routes of the host have no effect with a virtual interface", () => {
  const routes = { SET_ROUTE_DEFAULT_TABLE: "yes" };
  const message = /would leave in clear$/;
  expectWarning({ ...routes, IPSEC_VTI_KEY: "42" }, "SET_ROUTE_DEFAULT_TABLE, IPSEC_VTI_KEY", message);
  const xfrm = { IPSEC_XFRM_IF_ID: "42", IPSEC_BACKEND: "swanctl" };
  expectWarning({ ...routes, ...xfrm }, "SET_ROUTE_DEFAULT_TABLE, IPSEC_XFRM_IF_ID", message);
  expectNothing(routes);
});

test("an IPSEC_MTU that IPv6 cannot live with is refused where IPv6 is inside the virtual interface", () => {
  const xfrm = { IPSEC_XFRM_IF_ID: "42", IPSEC_BACKEND: "swanctl", IPSEC_DATAPLANE: "kernel" };
  for (const [purpose, variable, changes] of [
    ["init", "IPSEC_XFRM_STATICROUTES", { ...xfrm, IPSEC_XFRM_STATICROUTES: "10.2.0.0/16,2001:db8:2::/48" }],
    ["init", "IPSEC_XFRM_IPADDR_LOCAL", { ...xfrm, IPSEC_XFRM_IPADDR_LOCAL: "169.254.10.1,fd00:42::1" }],
    ["init", "IPSEC_VTI_STATICROUTES", { IPSEC_VTI_KEY: "42", IPSEC_VTI_STATICROUTES: "2001:db8:2::/48" }],
    ["init", "IPSEC_VTI_IPADDR_LOCAL", { IPSEC_VTI_KEY: "42", IPSEC_VTI_IPADDR_LOCAL: "fd00:42::1" }],
    [
      "gateway",
      "IPSEC_REMOTENET",
      { ...xfrm, IPSEC_LOCALNET: "2001:db8:1::/48", IPSEC_REMOTENET: "2001:db8:2::/48" },
    ],
  ] as const) {
    expectError(
      { ...changes, IPSEC_MTU: "1279" },
      `IPSEC_MTU, ${variable}`,
      /IPSEC_MTU=1279 is too small/,
      purpose,
    );
    assert.deepEqual(problemsOf({ ...changes, IPSEC_MTU: "1280" }, purpose).errors, []);
  }
  expectNothing({ IPSEC_VTI_KEY: "42", IPSEC_VTI_STATICROUTES: "10.2.0.0/16", IPSEC_MTU: "1200" });
  expectNothing({ IPSEC_LOCALNET: "2001:db8:1::/48", IPSEC_REMOTENET: "2001:db8:2::/48", IPSEC_MTU: "1200" });
});

test("a policy of revocation that stands where it is not rendered is told", () => {
  expectWarning(
    { IPSEC_USE_MANUAL_CONFIG: "yes", IPSEC_REVOCATION: "strict" },
    "IPSEC_REVOCATION, IPSEC_USE_MANUAL_CONFIG",
    /no effect/,
  );
  expectWarning(
    { IPSEC_MANUAL_CHARON: "yes", IPSEC_REVOCATION: "off" },
    "IPSEC_REVOCATION, IPSEC_MANUAL_CHARON",
    /no effect/,
  );
  expectNothing({ IPSEC_USE_MANUAL_CONFIG: "yes", IPSEC_REVOCATION: "off" });
});

test("in manual configuration nothing tells the tunnel's packets but networks, or for IPSEC_MSS a virtual interface", () => {
  const manual = { IPSEC_USE_MANUAL_CONFIG: "yes", IPSEC_LOCALNET: "", IPSEC_REMOTENET: "" };
  expectWarning(
    { ...manual, IPSEC_NAT_EXEMPT: "yes" },
    "IPSEC_NAT_EXEMPT, IPSEC_USE_MANUAL_CONFIG",
    /no effect/,
  );
  expectWarning({ ...manual, IPSEC_MSS: "1360" }, "IPSEC_MSS, IPSEC_USE_MANUAL_CONFIG", /no effect/);
  expectNothing({ ...manual, IPSEC_MSS: "1360", IPSEC_VTI_KEY: "42" });
  expectNothing({ IPSEC_USE_MANUAL_CONFIG: "yes", IPSEC_MSS: "1360", IPSEC_NAT_EXEMPT: "yes" });
});
