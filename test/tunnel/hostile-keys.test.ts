import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createLab, type Lab } from "../support/lab.ts";
import { isReady, reload, stop, tunnelEnvironment } from "../support/our-gateway.ts";
import type { Peer } from "../support/peer.ts";
import { attempts } from "../support/scale.ts";
import { swanctlConf } from "../support/swanctl-conf.ts";

/** A key, and what an operator writes to say it. */
type Key = { readonly written: Uint8Array; readonly bytes: Uint8Array };

const bytes = (text: string, encoding: BufferEncoding = "utf8"): Uint8Array =>
  new Uint8Array(Buffer.from(text, encoding));

/** Each is the key itself. */
const literal = (key: Uint8Array): Key => ({ written: key, bytes: key });

/** What quotes, separates, comments, escapes or ends somewhere on the way: a shell, dotenv, Handlebars, ipsec.secrets(5). */
const hostileTexts = [
  '"',
  "'",
  "\\",
  "#",
  "$",
  "`",
  "{",
  "}",
  "{{psk}}",
  "{{{psk}}}",
  "%",
  "*",
  "!",
  "~",
  ":",
  ";",
  "=",
  ",",
  "&",
  "<",
  ">",
  "|",
  "(",
  ")",
  "[",
  "]",
  '"quoted"',
  "'quoted'",
  'hel"lo',
  "hel'lo",
  '"',
  '""',
  "''",
  '"\'"',
  "`id`",
  "$(id)",
  // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the key
  "${IPSEC_PSK}",
  "$HOME",
  "\\n",
  "\\\\",
  '\\"',
  "a b",
  "a  b",
  "a\tb",
  " : PSK other",
  ": PSK other",
  "# comment",
  "a # b",
  "include /etc/passwd",
  "key\\",
  "%any",
  "%direct",
  "[Filtered]",
  "***",
  "null",
  "undefined",
  "0",
  "1",
  "x",
  "0",
  "0X1234",
  "0S1234",
  "00x12",
  "yes",
  "-",
  "--help",
  "naïve",
  "Schlüssel",
  "ключ",
  "鍵",
  "🔑",
  "\u202ekey",
  "\ufeffkey",
  "e\u0301",
  "\u00a0",
];

/** What only a file can hold, or ends a line, or is dropped at an end elsewhere. */
const fileTexts = [
  " leading",
  "trailing ",
  " both ",
  "\ttab\t",
  "line\nline",
  "line\r\nline",
  "\nfirst",
  "two at the end\n",
  "a\rb",
  "nul\0nul",
  "\0",
  "\0\0\0\0",
  " ",
  '\n : PSK "other"',
  "\u0085",
  "\v\f",
];

const fileKeys: readonly Key[] = [
  ...hostileTexts.map((text) => literal(bytes(text))),
  // One newline at the end is an editor's.
  ...fileTexts.map((text) => ({ written: bytes(`${text}\n`), bytes: bytes(text) })),
  { written: bytes("0x00ff20220a"), bytes: bytes("00ff20220a", "hex") },
  { written: bytes("0x3078"), bytes: bytes("0x") },
  { written: bytes("0sAP8gIgo="), bytes: bytes("AP8gIgo=", "base64") },
  { written: bytes("0sMHM"), bytes: bytes("0s") },
  { written: bytes("0xABCDEF"), bytes: bytes("abcdef", "hex") },
  literal(bytes("ff", "hex")),
  literal(bytes("ffff00ff", "hex")),
  literal(bytes("c3", "hex")),
  literal(bytes("80bf", "hex")),
  literal(Uint8Array.from({ length: 256 }, (_, index) => index)),
  literal(new Uint8Array(63).fill(0x22)),
  literal(new Uint8Array(64).fill(0x27)),
  literal(new Uint8Array(65).fill(0x5c)),
  // As long as a value of vici can be, by which the peer is told.
  literal(Uint8Array.from({ length: 65_535 }, (_, index) => (index * 7) % 251)),
];

const seed = 20261123;

const endsInNewline = (key: Uint8Array): boolean => key.at(-1) === 0x0a;
const isEncoded = (key: Uint8Array): boolean => /^0[xs]/.test(Buffer.from(key).toString("latin1"));

/** Random bytes of all lengths, the same ones each time. */
const randomKeys = (count: number): readonly Key[] =>
  fc
    .sample(fc.uint8Array({ minLength: 1, maxLength: 80 }), { numRuns: 2 * count, seed })
    .map((key) => Uint8Array.from(key))
    .filter((key) => !endsInNewline(key) && !isEncoded(key))
    .slice(0, count)
    .map(literal);

const allKeys: readonly Key[] = [...fileKeys, ...randomKeys(200 - fileKeys.length)];

const keyFile = "/etc/vnf-ipsec/key";

for (const version of [2, 1] as const) {
  test(`any bytes in IPSEC_PSK_FILE authenticate against an independent peer, IKEv${version}`, async () => {
    const keys =
      version === 2
        ? allKeys.slice(0, attempts({ usual: fileKeys.length, full: 200 }))
        : spread(allKeys, attempts({ usual: 12, full: 200 }));
    await using lab = await createLab();
    const sun = await lab.sun.peer({});
    await lab.moon.writeFile(keyFile, "the first key, which is replaced", 0o600);
    const moon = lab.moon.gateway(
      tunnelEnvironment(lab.moon, lab.sun, {
        IPSEC_PSK: "",
        IPSEC_PSK_FILE: keyFile,
        IPSEC_START: "add",
        IPSEC_KEYEXCHANGE: `ikev${version}`,
      }),
    );
    await isReady(moon);
    for (const [index, key] of keys.entries()) {
      await knowKey(lab, sun, key, version);
      await lab.moon.writeFile(keyFile, key.written, 0o600);
      await reload(moon);
      await authenticate(lab, sun, key, index % 2 === 0 ? "peer" : "gateway");
    }
    assert.equal(await stop(moon), 0);
  });
}

/** As a shell, a manifest or `docker --env-file` hands them over; white space and quotes around all of it are not part of them. */
const environmentKeys: readonly Key[] = [
  ...hostileTexts
    .filter((text) => text.trim() === text && !/^(["']).*\1$/s.test(text))
    .map((text) => literal(bytes(text))),
  ...["line\nline", "a\u0001b", "\u007f\u001b[31m", "a\r\nb"].map((text) => literal(bytes(text))),
  { written: bytes('"in quotes"'), bytes: bytes("in quotes") },
  { written: bytes("'in quotes'"), bytes: bytes("in quotes") },
  { written: bytes('" in quotes "'), bytes: bytes(" in quotes ") },
  { written: bytes(" blanks around "), bytes: bytes("blanks around") },
  { written: bytes("0x00ff20220a"), bytes: bytes("00ff20220a", "hex") },
  { written: bytes("0sAP8gIgo="), bytes: bytes("AP8gIgo=", "base64") },
  literal(bytes("k".repeat(4096))),
];

test("any text in IPSEC_PSK authenticates against an independent peer", async () => {
  const keys = spread(environmentKeys, attempts({ usual: 5, full: environmentKeys.length }));
  await using lab = await createLab();
  const sun = await lab.sun.peer({});
  for (const key of keys) {
    await knowKey(lab, sun, key, 2);
    const moon = lab.moon.gateway(
      tunnelEnvironment(lab.moon, lab.sun, {
        IPSEC_PSK: Buffer.from(key.written).toString(),
        IPSEC_START: "add",
      }),
    );
    await isReady(moon);
    await authenticate(lab, sun, key, "peer");
    assert.equal(await stop(moon), 0);
  }
});

/** So many of them, from all over the list. */
const spread = (keys: readonly Key[], count: number): readonly Key[] =>
  keys.filter(
    (_, index) =>
      Math.floor((index * count) / keys.length) !== Math.floor(((index + 1) * count) / keys.length),
  );

/** Replaces the connection and the key of the peer, which is told the bytes in hexadecimal. */
const knowKey = (lab: Lab, peer: Peer, key: Key, version: 1 | 2): Promise<void> =>
  peer.load(
    swanctlConf([
      {
        version,
        psk: key.bytes,
        localAddress: lab.sun.address,
        remoteAddress: lab.moon.address,
        localNetworks: lab.sun.networks,
        remoteNetworks: lab.moon.networks,
      },
    ]),
  );

/** Brings a tunnel up from one end and takes it down again. */
const authenticate = async (lab: Lab, peer: Peer, key: Key, initiator: "peer" | "gateway"): Promise<void> => {
  const initiate = ["--initiate", "--child", "site", "--timeout", "10"] as const;
  const told = initiator === "peer" ? peer.swanctl(...initiate) : lab.moon.run(["swanctl", ...initiate]);
  await told.catch((error: unknown) => {
    throw new Error(`the key ${hex(key)} does not authenticate: ${error}`);
  });
  const sas = await peer.sas();
  assert.deepEqual(
    sas.map((sa) => sa.fields.state),
    ["ESTABLISHED"],
  );
  await peer.swanctl("--terminate", "--ike", "site");
};

const hex = (key: Key): string => Buffer.from(key.bytes).toString("hex").slice(0, 200);
