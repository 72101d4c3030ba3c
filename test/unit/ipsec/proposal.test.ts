import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { algorithms } from "../../../src/ipsec/algorithms.ts";
import { parseProposals, renderProposals } from "../../../src/ipsec/proposal.ts";
import { examples, type Protocol, pseudoRandomFunctions } from "../../../src/ipsec/proposal-rules.ts";

const accepted = (text: string, protocol: Protocol) => {
  const parsed = parseProposals(text, protocol);
  assert.ok(parsed.ok, `${text}: ${JSON.stringify(parsed)}`);
  return { text: renderProposals(parsed.value), warnings: parsed.warnings, value: parsed.value };
};

const refused = (text: string, protocol: Protocol) => {
  const parsed = parseProposals(text, protocol);
  assert.ok(!parsed.ok, text);
  return parsed.problems;
};

for (const [protocol, text] of [
  ["ike", "aes192gcm16-aes128gcm16-prfsha256-ecp256-ecp521,aes192-sha256-modp3072"],
  ["esp", "aes192gcm16-aes128gcm16-ecp256,aes192-sha256-modp3072"],
  ["ike", "aes256-sha384-sha512-ecp384-ke1_mlkem1024,aes256gcm16-prfsha384-prfsha512-ecp384-ke1_mlkem1024"],
  ["ike", "chacha20poly1305-prfsha256-x25519-ke1_mlkem768-ke1_none-ke7_x448"],
  ["ike", "aes128ctr-aescmac-curve448"],
  ["esp", "chacha20poly1305"],
  ["esp", "aes256gcm16-x25519-none-esn-noesn"],
  ["esp", "aes128-sha256_96"],
  ["esp", "camellia256ccm64-ke1_mlkem768"],
] as const) {
  test(`${text} is a good list for ${protocol}, and is rendered as it is`, () => {
    assert.deepEqual({ ...accepted(text, protocol), value: [] }, { text, warnings: [], value: [] });
  });
}

test("the examples in hints are good themselves", () => {
  for (const protocol of ["ike", "esp"] as const) {
    assert.deepEqual(accepted(examples[protocol].replace(" or ", ","), protocol).warnings, []);
  }
});

for (const [protocol, text, rendered, ...warnings] of [
  [
    "ike",
    " AES256 - Sha256 -\tMODP3072 ,\n aes128-sha256-x25519 ",
    "aes256-sha256-modp3072,aes128-sha256-x25519",
  ],
  ["ike", "aes256-sha256-modp3072!", "aes256-sha256-modp3072", /^the ! at the end has no effect/],
  ["ike", "aes256-sha256-modp3072 ! ", "aes256-sha256-modp3072", /^the ! at the end has no effect/],
  ["ike", "aes128-aes-sha256-modp3072", "aes128-sha256-modp3072", /names aes128 and aes, which are the same/],
  ["ike", "aes128-sha256-modp3072-sha256", "aes128-sha256-modp3072", /names sha256 twice/],
  ["esp", "chacha20poly1305-chacha20poly1305compat", "chacha20poly1305-chacha20poly1305compat"],
  [
    "ike",
    "aes128gcm16-sha256-modp3072",
    "aes128gcm16-modp3072-prfsha256",
    /names sha256 beside .*, read as prfsha256/,
  ],
  [
    "ike",
    "aes128gcm16-sha256-prfsha384-modp3072",
    "aes128gcm16-prfsha384-modp3072",
    /names sha256, which has no effect/,
  ],
  ["ike", "aes128-sha256-modp3072-none", "aes128-sha256-modp3072", /names none, which has no effect in IKE/],
  ["esp", "aes128gcm16-sha256", "aes128gcm16", /names sha256, which has no effect/],
  ["esp", "aes128-sha256-prfsha256", "aes128-sha256", /names prfsha256, which has no effect in ESP/],
  ["esp", "aes128-sha256,aes128-sha256", "aes128-sha256,aes128-sha256", /^proposal 2 repeats proposal 1$/],
  [
    "esp",
    "aes128-sha256,aes256-sha256,sha2_256-aes",
    "aes128-sha256,aes256-sha256,sha2_256-aes",
    /^proposal 3 repeats proposal 1$/,
  ],
  ["esp", "aes128-sha256-sha384,aes128-sha384-sha256", "aes128-sha256-sha384,aes128-sha384-sha256"],
] as const) {
  test(`${JSON.stringify(text)} for ${protocol} means ${rendered}`, () => {
    const { text: actual, warnings: said } = accepted(text, protocol);
    assert.equal(actual, rendered);
    assert.equal(said.length, warnings.length, JSON.stringify(said));
    for (const [index, warning] of warnings.entries()) assert.match(said[index]?.message ?? "", warning);
  });
}

for (const [protocol, text, message, hint] of [
  [
    "ike",
    "aes256-sha265-modp3072",
    /^"aes256-sha265-modp3072" has the unknown keyword "sha265"$/,
    /^did you mean sha256\? for example aes/,
  ],
  [
    "ike",
    "aes256-sha256-modp3072,aes256-sha256-mopd2048",
    /^proposal 2, "aes256-sha256-mopd2048", has the unknown/,
    /mean modp2048\?/,
  ],
  ["ike", "aes-256-sha256-modp3072", /unknown keyword "256"/, /did you mean aes256\?/],
  ["ike", "aes256-gcm16-prfsha256-ecp256", /unknown keyword "gcm16"/, /did you mean aes256gcm16\?/],
  ["esp", "aes256-sha2-modp3072", /unknown keyword "sha2"/, /did you mean sha256\?/],
  ["esp", "aes256cbc-sha256", /unknown keyword "aes256cbc"/, /did you mean aes256\?/],
  ["esp", "aes256-hmac_sha256", /unknown keyword "hmac_sha256"/, /did you mean sha256\?/],
  ["ike", "aes256-sha256-dh14", /unknown keyword "dh14"/, /did you mean modp2048\?/],
  ["ike", "aes256-sha256-group19", /unknown keyword "group19"/, /did you mean ecp256\?/],
  [
    "ike",
    "aes256-sha256-x25519-ke1_mlkem786",
    /unknown keyword "ke1_mlkem786"/,
    /did you mean ke1_mlkem768\?/,
  ],
  ["ike", "aes256-sha256-x25519-ke8_mlkem768", /unknown keyword "ke8_mlkem768"/, /for example/],
  ["ike", "aes256-sha256-x25519-ke1_aes256", /unknown keyword "ke1_aes256"/, /for example/],
  ["ike", "aes256-sha256-x25519-ke1_ntru128", /unknown keyword "ke1_ntru128"/, /for example/],
  ["ike", "aes256-sha256-kauderwelsch", /unknown keyword "kauderwelsch"/, /^for example aes/],
  ["ike", "aes256!-sha256-modp3072", /unknown keyword "aes256!"/, /leave the ! out/],
  ["esp", "aes256-sha256'\"\n\u001b", /unknown keyword "sha256'\\"\\n\\u001b"/, /for example/],
  ["ike", "", /^"" names nothing$/, /^for example aes/],
  ["ike", "!", /^"" names nothing$/, /^for example aes/],
  ["ike", "aes256-sha256-modp3072,", /^proposal 2, "", names nothing$/, /^for example aes/],
  ["ike", "aes256--modp3072", /has nothing before, after or between its -$/, /^for example aes/],
  ["ike", "default", /asks for strongSwan's default/, /^list what both ends support/],
  [
    "esp",
    "aes256-sha256,DEFAULT",
    /^proposal 2, .* asks for strongSwan's default/,
    /^list what both ends support/,
  ],
  ["ike", "sha256-prfsha256-modp3072", /names no encryption algorithm$/, /^for example aes/],
  [
    "ike",
    "aes256-modp3072-prfsha256",
    /names no integrity algorithm, which aes256 must not go without \(RFC 7296/,
    /aes256-sha256/,
  ],
  ["ike", "aes256-sha256", /names no key exchange method$/, /^add one/],
  ["ike", "aes256-sha256-none", /names no key exchange method$/, /^add one/],
  ["ike", "aes256-sha256-ke1_mlkem768", /names no key exchange method$/, /^add one/],
  ["ike", "aes256gcm16-ecp384", /names no PRF, and a combined-mode cipher implies none$/, /prfsha256/],
  ["ike", "aes256-sha256_96-ecp384", /names no PRF, and sha256_96 implies none$/, /prfsha256/],
  [
    "ike",
    "aes256gcm16-aes256-sha256-ecp384",
    /mixes combined-mode ciphers \(aes256gcm16\) with others \(aes256\)/,
    /two proposals/,
  ],
  ["ike", "aes256-sha256-ecp384-noesn", /names noesn, for ESP only$/, /for example/],
  ["ike", "null-sha256-ecp384", /names null, for ESP only$/, /for example/],
  ["ike", "aes256gmac-prfsha256-ecp384", /names aes256gmac, for ESP only$/, /for example/],
  ["esp", "sha256-modp3072", /names no encryption algorithm$/, /^for example aes/],
  [
    "esp",
    "aes256-modp3072",
    /names no integrity algorithm, which aes256 must not go without \(RFC 8221 §4\)/,
    /aes256-sha256/,
  ],
  ["esp", "null", /names no integrity algorithm/, /null-sha256/],
  ["esp", "aes256gcm16-aes256-sha256", /mixes combined-mode ciphers/, /two proposals/],
] as const) {
  test(`${JSON.stringify(text)} is refused for ${protocol}`, () => {
    const problems = refused(text, protocol);
    assert.equal(problems.length, 1, JSON.stringify(problems));
    assert.match(problems[0]?.message ?? "", message);
    assert.match(problems[0]?.hint ?? "", hint);
  });
}

test("all problems of a list are told at once, each with its proposal", () => {
  const messages = refused("aes256-sha265-modp3027,default,aes256gcm16,,sha256", "ike").map(
    ({ message }) => message,
  );
  assert.equal(messages.length, 8);
  for (const [index, expected] of [
    /^proposal 1, .* "sha265"$/,
    /^proposal 1, .* "modp3027"$/,
    /^proposal 2, .* default/,
    /^proposal 3, .* no key exchange/,
    /^proposal 3, .* no PRF/,
    /^proposal 4, .* nothing/,
    /^proposal 5, .* no encryption/,
    /^proposal 5, .* no key exchange/,
  ].entries()) {
    assert.match(messages[index] ?? "", expected);
  }
});

test("warnings come along with problems", () => {
  const parsed = parseProposals("aes256-aes256-sha256-modp3072,default!", "ike");
  assert.equal(parsed.ok, false);
  assert.equal(parsed.warnings.length, 2);
});

test("each weak algorithm of a list is warned of once, with the authority", () => {
  const { warnings } = accepted("3des-md5-modp1024,3des-sha1-modp1024,aes256-sha256-modp2048", "ike");
  const said = warnings.map(({ message }) => message);
  assert.equal(said.length, 4);
  assert.match(said[0] ?? "", /^3des .*RFC 8221 §5: SHOULD NOT/);
  assert.match(said[1] ?? "", /^md5 .*RFC 8247.*MUST NOT/);
  assert.match(said[2] ?? "", /^modp1024 .*RFC 8247 §2\.4: SHOULD NOT/);
  assert.match(said[3] ?? "", /^sha1 .*strongSwan's security recommendations/);
});

test("an additional exchange by a weak group is as weak", () => {
  assert.match(
    accepted("aes256-sha256-x25519-ke1_modp768", "ike").warnings[0]?.message ?? "",
    /^ke1_modp768 .*MUST NOT/,
  );
});

test("the PRFs of an IKE proposal are those it names, or those of its hashes", () => {
  for (const [text, keywords] of [
    ["aes128-sha256-modp3072", ["prfsha256"]],
    ["aes128-sha256-sha512-modp3072", ["prfsha256", "prfsha512"]],
    ["aes128-sha1-sha1_160-modp3072", ["prfsha1"]],
    ["aes128-sha256-sha256_96-modp3072", ["prfsha256"]],
    ["aes128-sha256-prfsha384-modp3072", ["prfsha384"]],
  ] as const) {
    const [proposal] = accepted(text, "ike").value;
    assert.deepEqual(
      pseudoRandomFunctions(proposal?.algorithms ?? []).map(({ keyword }) => keyword),
      keywords,
      text,
    );
  }
});

test("a list has at most 255 proposals, and a proposal at most 511 characters", () => {
  const many = (count: number) => Array.from({ length: count }, () => "aes128gcm16").join(",");
  accepted(many(255), "esp");
  assert.match(refused(many(256), "esp")[0]?.message ?? "", /^a list of 256 proposals is too long$/);
  const everything = [...algorithms.values()].filter(({ transform }) =>
    ["encryption", "integrity", "ke"].includes(transform),
  );
  const [problem] = refused(everything.map(({ keyword }) => keyword).join("-"), "esp");
  assert.match(problem?.message ?? "", /has \d+ characters, too many$/);
});

const word = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom(...algorithms.keys()) },
  { weight: 1, arbitrary: fc.constantFrom("default", "", "ke1_x25519", "sha265", "dh14", "!") },
  { weight: 1, arbitrary: fc.string({ maxLength: 12 }) },
);
const list = fc
  .array(
    fc.array(word, { minLength: 1, maxLength: 6 }).map((words) => words.join("-")),
    { minLength: 1, maxLength: 4 },
  )
  .map((proposals) => proposals.join(","));
const protocols = fc.constantFrom<Protocol>("ike", "esp");

test("what is rendered is read again as the same, with nothing left to warn of but weakness and repetition", () => {
  fc.assert(
    fc.property(list, protocols, (text, protocol) => {
      const parsed = parseProposals(text, protocol);
      if (!parsed.ok) return;
      const rendered = renderProposals(parsed.value);
      assert.match(rendered, /^[a-z0-9_,-]+$/);
      const again = accepted(rendered, protocol);
      assert.deepEqual(again.value, parsed.value);
      for (const { message } of again.warnings) assert.doesNotMatch(message, / names /);
    }),
    { numRuns: 1000 },
  );
});

test("any text ends in few problems of one short line each", () => {
  const text = fc.oneof(
    list,
    fc.string({ maxLength: 5000, unit: "binary" }),
    fc.array(list, { maxLength: 60 }).map(String),
  );
  fc.assert(
    fc.property(text, protocols, (hostile, protocol) => {
      const parsed = parseProposals(hostile, protocol);
      const said = [...parsed.warnings, ...(parsed.ok ? [] : parsed.problems)];
      assert.ok(parsed.ok || parsed.problems.length > 0);
      assert.ok(said.length <= 42);
      for (const { message, hint = "" } of said) {
        assert.doesNotMatch(message + hint, /\p{Cc}/u);
        assert.ok(message.length < 1000 && hint.length < 300, message);
      }
    }),
    { numRuns: 1000 },
  );
});

test("a hostile list is refused within milliseconds, however it is made", () => {
  const hostile = ["a", "-", ",", "!", "aes128-", "aes128,", "ke1_", "sha265-", "\u0000", "é,"].flatMap(
    (piece) => [
      piece.repeat(100_000),
      piece.repeat(Math.floor(4096 / piece.length)),
      Array.from({ length: 255 }, (_, index) => `${piece.replace(",", "")}${index}`)
        .join(",")
        .slice(0, 4096),
    ],
  );
  parseProposals("warm-up", "ike");
  for (const text of hostile) {
    const started = performance.now();
    assert.equal(parseProposals(text, "ike").ok, false);
    const spent = performance.now() - started;
    assert.ok(spent < 100, `${text.slice(0, 20)}… of ${text.length} characters took ${spent} ms`);
  }
});
