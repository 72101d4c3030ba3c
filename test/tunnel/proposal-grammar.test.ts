import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import fc from "fast-check";
import { type Algorithm, algorithms } from "../../src/ipsec/algorithms.ts";
import { type Proposal, parseProposals, renderProposals } from "../../src/ipsec/proposal.ts";
import { unsupportedBy } from "../../src/ipsec/proposal-checks.ts";
import { isCipher, type Protocol, pseudoRandomFunctions } from "../../src/ipsec/proposal-rules.ts";

type Loader = "ipsec.conf" | "swanctl.conf";
const loaders = ["ipsec.conf", "swanctl.conf"] as const satisfies readonly Loader[];

/** A list of proposals, loaded as a connection `c<index>` with a good list for the other protocol. */
type Case = { readonly protocol: Protocol; readonly text: string };

/** Where we differ from charon on purpose; whatever is not listed must agree. */
const deliberate: readonly {
  readonly why: string;
  readonly loaders: readonly Loader[];
  /** Of our problem, where we refuse what charon takes. */
  readonly problem?: RegExp;
  /** Of the text, where we accept what charon refuses; we render it so that charon takes it. */
  readonly text?: RegExp;
}[] = [
  {
    why: "ESP that encrypts and does not authenticate (RFC 8221 §4)",
    loaders,
    problem: /names no integrity algorithm.*8221/,
  },
  { why: "an IKE SA without encryption, sequence numbers in IKE", loaders, problem: /for ESP only/ },
  { why: "a - too many, which is a keyword forgotten", loaders, problem: /nothing before, after or between/ },
  { why: "a comma too many", loaders: ["swanctl.conf"], problem: /names nothing/ },
  {
    why: "default, which differs between versions",
    loaders: ["swanctl.conf"],
    problem: /strongSwan's default/,
  },
  { why: "what vici has no room for", loaders: ["ipsec.conf"], problem: /characters, too many/ },
  { why: "upper case", loaders, text: /[A-Z]/ },
  { why: "white space that is not a blank", loaders, text: /\t/ },
  { why: "the ! of ipsec.conf", loaders: ["swanctl.conf"], text: /!\s*$/ },
];

const good: Readonly<Record<Protocol, string>> = { ike: "aes128-sha256-modp3072", esp: "aes128-sha256" };
const seed = 20_261_123;

const version = (await promisify(execFile)("/usr/lib/ipsec/charon", ["--version"])).stdout.trim();
const directory = await mkdtemp(join(tmpdir(), "vnf-ipsec-proposals-"));
const cases = [...everyKeyword(), ...oddities(), ...generated("ike"), ...generated("esp")];
/** What we make of a case; undefined when we refuse it. */
const rendered = cases.map(accepted);
const canonical = cases.flatMap(({ protocol }, index): readonly Case[] => {
  const text = rendered[index];
  return text === undefined ? [] : [{ protocol, text }];
});
const everything = [...cases, ...canonical];

const irregularNames: Readonly<Record<string, string>> = {
  DES: "DES_CBC",
  "3DES": "3DES_CBC",
  BLOWFISH: "BLOWFISH_CBC",
  CAST: "CAST_CBC",
  NULL_AUTH_AES_GMAC: "NULL_AES_GMAC",
  NH_128: "NEWHOPE_128",
};

let answers: { readonly [loader in Loader]: ReadonlySet<number> };
let charonLog: string;

before(async () => {
  await Promise.all([
    writeFile(join(directory, "strongswan.conf"), strongswanConf()),
    writeFile(join(directory, "ipsec.conf"), everything.map(ipsecConf).join("")),
    writeFile(join(directory, "swanctl.conf"), `connections {\n${everything.map(swanctlConf).join("")}}\n`),
  ]);
  // A process namespace of its own takes starter and charon along, however this test ends.
  const argv = [
    "--net",
    "--mount",
    "--pid",
    "--fork",
    "--kill-child",
    "--mount-proc",
    "bash",
    "-ec",
    script,
    "bash",
    directory,
  ];
  const { stdout } = await promisify(execFile)("unshare", [...argv, `c${everything.length - 1}`], {
    timeout: 60_000,
  });
  charonLog = await readFile(join(directory, "charon.log"), "utf8");
  answers = { "ipsec.conf": acceptedByStroke(charonLog), "swanctl.conf": acceptedByVici(stdout) };
});

after(() => rm(directory, { recursive: true, force: true }));

for (const loader of loaders) {
  test(`charon takes from ${loader} what we accept and discards what we refuse, but for the listed differences`, () => {
    const met = new Set<string>();
    const surprises = cases.flatMap((one, index) => {
      const isTaken = answers[loader].has(index);
      if (isTaken === (rendered[index] !== undefined)) return [];
      const reasons = explanations(one, isTaken, loader);
      for (const why of reasons) if (why !== undefined) met.add(why);
      const isExplained = reasons.length > 0 && !reasons.includes(undefined);
      return isExplained ? [] : [{ ...one, isTaken, parsed: parseProposals(one.text, one.protocol) }];
    });
    assert.deepEqual(surprises, []);
    const listed = deliberate
      .filter((difference) => difference.loaders.includes(loader))
      .map(({ why }) => why);
    assert.deepEqual([...met].toSorted(), listed.toSorted(), "a listed difference does not exist");
  });

  test(`charon takes from ${loader} everything that we render`, () => {
    const discarded = canonical.filter((_, index) => !answers[loader].has(cases.length + index));
    assert.deepEqual(discarded, []);
    assert.ok(canonical.length > 300, `only ${canonical.length} of ${cases.length} lists were good`);
    assert.ok(cases.length - answers[loader].size + canonical.length > 200, "too few lists were bad");
  });
}

test("charon understands a list as we do: the same algorithms of each type in the same order", () => {
  const understood = viciModels(charonLog);
  let compared = 0;
  for (const [index, { protocol, text }] of everything.entries()) {
    const parsed = parseProposals(text, protocol);
    if (!parsed.ok || !answers["swanctl.conf"].has(index)) continue;
    const models = understood.get(`c${index}`)?.[protocol]?.map(withoutRepetitions);
    assert.deepEqual(models, parsed.value.map(charonModel), text);
    compared += 1;
  }
  assert.ok(compared > 600, `only ${compared} lists were compared`);
});

/** Why charon and we may disagree: for each problem that we have, or as a whole; undefined where nothing is listed. */
function explanations(
  { protocol, text }: Case,
  isTaken: boolean,
  loader: Loader,
): readonly (string | undefined)[] {
  const listed = deliberate.filter((difference) => difference.loaders.includes(loader));
  if (!isTaken) return [listed.find((difference) => difference.text?.test(text))?.why];
  const parsed = parseProposals(text, protocol);
  const problems = parsed.ok ? [] : parsed.problems;
  return problems.map(({ message }) => listed.find((difference) => difference.problem?.test(message))?.why);
}

function accepted({ protocol, text }: Case): string | undefined {
  const parsed = parseProposals(text, protocol);
  return parsed.ok && unsupportedBy(parsed.value, version).length === 0
    ? renderProposals(parsed.value)
    : undefined;
}

/** Each keyword where it belongs, and where it does not. */
function everyKeyword(): readonly Case[] {
  const surroundings = {
    encryption: "sha256-modp3072",
    aead: "prfsha256-modp3072",
    integrity: "aes128-modp3072",
  };
  const around = (algorithm: Algorithm): string =>
    surroundings[algorithm.transform as keyof typeof surroundings] ??
    (algorithm.transform === "prf" ? "aes128gcm16-modp3072" : good.ike);
  return [...algorithms.values()].flatMap((algorithm) => {
    const texts = [
      `${algorithm.keyword}-${around(algorithm)}`,
      ...(algorithm.transform === "ke" ? [`aes128-sha256-${algorithm.keyword}`] : []),
    ];
    return texts.flatMap((text) => [
      { protocol: "ike" as const, text },
      { protocol: "esp" as const, text },
    ]);
  });
}

function oddities(): readonly Case[] {
  const texts = [
    "",
    "!",
    ",",
    "-",
    " ",
    "default",
    "DEFAULT",
    "default,aes128-sha256-modp3072",
    "aes128-sha256-modp3072,default",
    "aes128-sha256-modp3072!",
    "aes128-sha256-modp3072!!",
    "!aes128-sha256-modp3072",
    "aes128!-sha256-modp3072",
    "aes128-sha256-modp3072 !",
    "aes128-sha256-modp3072,",
    ",aes128-sha256-modp3072",
    "aes128-sha256-modp3072,,aes256-sha256-modp3072",
    "aes128-sha256-modp3072-",
    "-aes128-sha256-modp3072",
    "aes128--sha256-modp3072",
    " aes128 - sha256 - modp3072 , aes256-sha1-modp2048 ",
    "aes128-sha256-\tmodp3072",
    "\taes128-sha256-modp3072",
    "AES128-SHA256-MODP3072",
    "Aes128-sha256-modp3072",
    "aes128_sha256_modp3072",
    "aes128/sha256/modp3072",
    "aes128;sha256",
    "aes 128-sha256-modp3072",
    "null-sha256-modp3072",
    "aes128-sha256-modp3072-ke1_mlkem768",
    "aes128-sha256-modp3072-ke8_modp2048",
    "aes128-sha256-modp3072-ke1_modp2048",
    "KE1_none-aes128-sha256-modp3072",
    proposalOfLength(511),
    proposalOfLength(512),
  ];
  return texts.flatMap((text) => [
    { protocol: "ike" as const, text },
    { protocol: "esp" as const, text },
  ]);
}

/** One good proposal of exactly so many characters, in which nothing is named twice. */
function proposalOfLength(length: number): string {
  const classic = [...algorithms.values()].filter(
    (one) =>
      ["encryption", "integrity", "ke"].includes(one.transform) &&
      !/NULL|NONE/.test(one.id) &&
      one.since === undefined &&
      one.removedIn === undefined,
  );
  const words = [...new Map(classic.map((one) => [`${one.id} ${one.keyBits}`, one.keyword])).values()];
  const fill = (room: number, from: number): readonly string[] | undefined => {
    if (room === 0) return [];
    for (const [offset, word] of words.slice(from).entries()) {
      const rest = word.length + 1 > room ? undefined : fill(room - word.length - 1, from + offset + 1);
      if (rest !== undefined) return [word, ...rest];
    }
    return undefined;
  };
  const filled = fill(length + 1, 0)?.join("-");
  assert.equal(filled?.length, length);
  return filled;
}

function generated(protocol: Protocol): readonly Case[] {
  const of = (...transforms: readonly Algorithm["transform"][]) =>
    fc.constantFrom(
      ...[...algorithms.values()]
        .filter(({ transform }) => transforms.includes(transform))
        .map(({ keyword }) => keyword),
    );
  const some = (word: fc.Arbitrary<string>, minLength: number, maxLength: number) =>
    fc.array(word, { minLength, maxLength });
  const classic = fc.tuple(
    some(of("encryption"), 1, 2),
    some(of("integrity"), 0, 2),
    some(of("prf"), 0, 1),
    some(of("ke"), 0, 2),
    some(of("esn"), 0, 1),
  );
  const combined = fc.tuple(
    some(of("aead"), 1, 2),
    some(of("integrity"), 0, 1),
    some(of("prf"), 0, 2),
    some(of("ke"), 0, 2),
  );
  const anything = fc.tuple(some(of("encryption", "aead", "integrity", "prf", "ke", "esn"), 1, 6));
  const sensible = fc.oneof(
    { weight: 4, arbitrary: classic },
    { weight: 4, arbitrary: combined },
    { weight: 2, arbitrary: anything },
  );
  const words = sensible
    .map((types) => types.flat())
    .chain((list) => fc.shuffledSubarray(list, { minLength: Math.max(1, list.length - 1) }));
  const proposal = fc.oneof(
    { weight: 12, arbitrary: words.map((list) => list.join("-")) },
    { weight: 1, arbitrary: words.map((list) => list.join(" - ").toUpperCase()) },
    {
      weight: 1,
      arbitrary: fc
        .tuple(words, fc.nat())
        .map(([list, at]) =>
          list.join("-").replace(/./g, (letter, index) => (index === at % 7 ? "" : letter)),
        ),
    },
    {
      weight: 1,
      arbitrary: fc
        .tuple(words, fc.constantFrom("--", "-x-", "!", ",", "-default-"))
        .map(([list, joint]) => list.join(joint)),
    },
  );
  const texts = fc.array(proposal, { minLength: 1, maxLength: 3 }).map((list) => list.join(","));
  return fc.sample(texts, { seed, numRuns: 300 }).map((text) => ({ protocol, text }));
}

const script = `
cd "$1"
mount --make-rprivate /
mount -t tmpfs tmpfs /run
ip link set lo up
export STRONGSWAN_CONF="$1/strongswan.conf"
/usr/lib/ipsec/starter --daemon charon --nofork --conf "$1/ipsec.conf" >starter.log 2>&1 &
starter=$!
until grep -qE "received stroke: add connection '$2'" charon.log 2>/dev/null; do
  (( SECONDS < 30 )) && kill -0 $starter || { cat starter.log >&2; exit 1; }
  read -rt 0.02 <> <(:) || :
done
swanctl --load-conns --file "$1/swanctl.conf" 2>swanctl.log || [[ $? == 22 ]]
kill -TERM $starter
wait $starter
`;

function strongswanConf(): string {
  return `charon {
  load = random nonce aes sha1 sha2 hmac kdf openssl kernel-netlink socket-default vici stroke
  plugins {
    stroke {
      secrets_file = ${directory}/none
    }
  }
  filelog {
    log {
      path = ${directory}/charon.log
      default = 0
      cfg = 2
      flush_line = yes
    }
  }
}
`;
}

function both({ protocol, text }: Case): Record<Protocol, string> {
  return { ...good, [protocol]: text };
}

function ipsecConf(one: Case, index: number): string {
  const text = both(one);
  const strict = (list: string) => (/!\s*$/.test(list) ? list : `${list}!`);
  return `conn c${index}\n\tkeyexchange=ikev2\n\tleft=192.0.2.1\n\tright=192.0.2.2\n\trightid=c${index}\n\tike="${strict(text.ike)}"\n\tesp="${strict(text.esp)}"\n\tauto=add\n`;
}

function swanctlConf(one: Case, index: number): string {
  const text = both(one);
  return `  c${index} {\n    remote_addrs = 192.0.2.2\n    proposals = "${text.ike}"\n    children {\n      child {\n        esp_proposals = "${text.esp}"\n      }\n    }\n  }\n`;
}

function acceptedByStroke(log: string): ReadonlySet<number> {
  const additions = log.split(/received stroke: add connection 'c(?=\d+')/).slice(1);
  return new Set(
    additions
      .filter((addition) => /added configuration/.test(addition))
      .map((addition) => Number.parseInt(addition, 10)),
  );
}

function acceptedByVici(said: string): ReadonlySet<number> {
  return new Set([...said.matchAll(/^loaded connection 'c(\d+)'$/gm)].map((match) => Number(match[1])));
}

/** What charon says at level 2 that it made of each connection, before it takes or discards it. */
function viciModels(log: string): ReadonlyMap<string, Partial<Record<Protocol, readonly string[]>>> {
  const models = new Map<string, Partial<Record<Protocol, readonly string[]>>>();
  let name = "";
  for (const line of log.split("\n")) {
    name = / conn (c\d+):$/.exec(line)?.[1] ?? name;
    const list = /\[CFG\] +proposals = (.*)$/.exec(line)?.[1]?.split(", ");
    if (list === undefined) continue;
    models.set(name, { ...models.get(name), [list[0]?.startsWith("IKE:") ? "ike" : "esp"]: list });
  }
  return models;
}

/** charon keeps what is named twice; we leave it out. */
function withoutRepetitions(model: string): string {
  const [protocol, names = ""] = model.split(":");
  return `${protocol}:${[...new Set(names.split("/"))].join("/")}`;
}

/** Our model in charon's words (proposal_printf_hook in proposal.c, names of crypter.c, signer.c, prf.c, key_exchange.c). */
function charonModel({ protocol, algorithms: named }: Proposal): string {
  const offered = [
    ...named.filter(isCipher),
    ...named.filter(({ transform }) => transform === "integrity"),
    ...(protocol === "ike" ? pseudoRandomFunctions(named) : []),
    ...named.filter(({ transform }) => transform === "ke"),
    ...named.filter(({ transform }) => transform === "esn"),
  ].map(charonName);
  const implied =
    protocol === "esp" && !named.some(({ transform }) => transform === "esn") ? ["NO_EXT_SEQ"] : [];
  return `${protocol.toUpperCase()}:${[...offered, ...implied].join("/")}`;
}

function charonName(algorithm: Algorithm): string {
  const regular = algorithm.id
    .replace(/^(?:ENCR|AUTH)_/, "")
    .replace("_ICV", "_")
    .replace(/_BIT$|_NUMBERS$/, "");
  const name = irregularNames[regular] ?? regular;
  return isCipher(algorithm) && algorithm.hasKeyLength ? `${name}_${algorithm.keyBits}` : name;
}
