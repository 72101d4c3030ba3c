import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { algorithms } from "../../../src/ipsec/algorithms.ts";
import { type Proposal, parseProposals, renderProposals } from "../../../src/ipsec/proposal.ts";
import {
  unsupportedBy,
  unusableWithIkev1,
  usableWithIkev1,
  withoutLinuxEsp,
  withoutUserspaceEsp,
} from "../../../src/ipsec/proposal-checks.ts";
import type { Protocol } from "../../../src/ipsec/proposal-rules.ts";

const parse = (text: string, protocol: Protocol): readonly Proposal[] => {
  const parsed = parseProposals(text, protocol);
  assert.ok(parsed.ok, `${text}: ${JSON.stringify(parsed)}`);
  return parsed.value;
};

const first = (problems: readonly { message: string }[]): string => {
  assert.ok(problems.length <= 1, JSON.stringify(problems));
  return problems[0]?.message ?? "";
};

test("a cipher without ESP in Linux is named for the kernel data plane, once", () => {
  const list =
    "camellia256ctr-sha256,camellia256ctr-sha384,aes256gcm16,camellia128ccm16,camellia256-camelliaxcbc";
  const said = withoutLinuxEsp(parse(list, "esp")).map(({ message }) => message.split(" ")[0]);
  assert.deepEqual(said, ["camellia256ctr", "camellia128ccm16", "camelliaxcbc"]);
});

test("IKE uses such a cipher in user space, so it is no problem there", () => {
  assert.deepEqual(withoutLinuxEsp(parse("camellia256ctr-sha256-ecp256", "ike")), []);
});

test("what strongSwan's own ESP lacks is named for the user-space data plane", () => {
  const said = withoutUserspaceEsp(parse("aes256gcm16-esn-noesn,aes128gmac,camellia256ctr-sha256", "esp"));
  assert.deepEqual(
    said.map(({ message }) => message.split(" ")[0]),
    ["esn", "aes128gmac"],
  );
});

for (const [version, tooNew, removed] of [
  ["5.9.8", true, false],
  ["5.9.14", true, false],
  ["Linux strongSwan 5.9.14", true, false],
  ["6.0", false, true],
  ["6.0.6", false, true],
  ["U6.1.0dr1/K6.8", false, true],
  ["10.0.1", false, true],
] as const) {
  test(`strongSwan ${version} ${tooNew ? "lacks" : "has"} ML-KEM and ${removed ? "lacks" : "has"} NTRU`, () => {
    for (const text of ["aes256-sha256-mlkem768", "aes256-sha256-x25519-ke1_x448", "aes256-sha256-gost256"]) {
      assert.equal(
        first(unsupportedBy(parse(text, "ike"), version)).includes("needs strongSwan 6.0"),
        tooNew,
        text,
      );
    }
    for (const text of ["aes256-sha256-ntru128", "aes256-sha256-newhope128"]) {
      assert.equal(
        first(unsupportedBy(parse(text, "ike"), version)).includes("not in strongSwan since 6.0"),
        removed,
        text,
      );
    }
    assert.deepEqual(unsupportedBy(parse("aes256gcm16-prfsha256-x25519", "ike"), version), []);
  });
}

test("of a version that cannot be read nothing is said", () => {
  assert.deepEqual(unsupportedBy(parse("aes256-sha256-ntru128-mlkem768", "ike"), "unknown"), []);
});

for (const [protocol, text, usable, ...problems] of [
  ["ike", "aes256-sha256-modp3072", "aes256-sha256-modp3072"],
  [
    "ike",
    "aes192gcm16-aes128gcm16-prfsha256-ecp256-ecp521,aes192-sha256-modp3072",
    "aes192-sha256-modp3072",
    /^IKEv1 has no aes192gcm16, aes128gcm16, so proposal 1 is left out$/,
  ],
  [
    "ike",
    "aes256-aes128-sha384-sha256-modp3072-modp2048",
    "aes256-sha384-modp3072,aes256-sha384-modp2048,aes256-sha256-modp3072,aes256-sha256-modp2048,aes128-sha384-modp3072,aes128-sha384-modp2048,aes128-sha256-modp3072,aes128-sha256-modp2048",
  ],
  ["ike", "aes256-sha256-prfsha256-modp3072", "aes256-sha256-modp3072"],
  [
    "ike",
    "aes256-sha256-prfsha384-modp3072",
    "",
    /^IKEv1 takes the PRF from the integrity algorithm, so the proposal is left out$/,
  ],
  [
    "ike",
    "aes256-aes256ctr-sha256-aesxcbc-modp3072",
    "aes256-sha256-modp3072",
    /^IKEv1 has no aes256ctr, aesxcbc, so the proposal is offered without$/,
  ],
  [
    "ike",
    "aes256-sha256-modp3072-ke1_mlkem768",
    "",
    /^IKEv1 has no ke1_mlkem768, so the proposal is left out$/,
  ],
  [
    "ike",
    "aes256-sha256-mlkem768-x25519",
    "aes256-sha256-x25519",
    /^IKEv1 has no mlkem768, so the proposal is offered without$/,
  ],
  [
    "esp",
    "aes192gcm16-aes128gcm16-ecp256,aes192-sha256-modp3072",
    "aes192gcm16-ecp256,aes128gcm16-ecp256,aes192-sha256-modp3072",
  ],
  ["esp", "aes256gcm16-modp3072-none", "aes256gcm16-modp3072,aes256gcm16"],
  ["esp", "aes256-sha256-esn-noesn", "aes256-sha256-esn,aes256-sha256-noesn"],
  ["esp", "null-aesxcbc", "null-aesxcbc"],
  ["esp", "chacha20poly1305", "", /^IKEv1 has no chacha20poly1305, so the proposal is left out$/],
  [
    "esp",
    "aes256-aescmac,aes256-aesxcbc",
    "aes256-aesxcbc",
    /^IKEv1 has no aescmac, so proposal 1 is left out$/,
  ],
  ["esp", "aes256-sha256,aes256-aes128-sha256", "aes256-sha256,aes128-sha256"],
] as const) {
  test(`IKEv1 offers ${text} as ${usable || "nothing"} (${protocol})`, () => {
    const proposals = parse(text, protocol);
    assert.equal(renderProposals(usableWithIkev1(proposals)), usable);
    const said = unusableWithIkev1(proposals).map(({ message }) => message);
    assert.equal(said.length, problems.length, JSON.stringify(said));
    for (const [index, problem] of problems.entries()) assert.match(said[index] ?? "", problem);
  });
}

test("however long a list is, IKEv1 gets at most 255 proposals of one algorithm per type, all good in themselves", () => {
  const of = (transform: string) =>
    fc.subarray(
      [...algorithms.values()].filter((one) => one.transform === transform),
      { minLength: 1, maxLength: 12 },
    );
  fc.assert(
    fc.property(
      of("encryption"),
      of("integrity"),
      of("ke"),
      fc.constantFrom<Protocol>("ike", "esp"),
      (...parts) => {
        const [ciphers, hashes, exchanges, protocol] = parts;
        const parsed = parseProposals(
          [...ciphers, ...hashes, ...exchanges].map(({ keyword }) => keyword).join("-"),
          protocol,
        );
        if (!parsed.ok) return;
        const usable = usableWithIkev1(parsed.value);
        assert.ok(usable.length <= 255);
        for (const { algorithms: offered } of usable) {
          assert.equal(new Set(offered.map(({ transform }) => transform)).size, offered.length);
        }
        for (const one of usable) assert.deepEqual(parse(renderProposals([one]), protocol), [one]);
      },
    ),
  );
});
