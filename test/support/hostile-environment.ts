import { Buffer } from "node:buffer";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import fc from "fast-check";
import { definitionOf, variableNames } from "../../src/settings/variables.ts";
import type { Environment } from "./site-process.ts";

/** An environment as an enemy, or a tired colleague, would write it. No value holds a NUL: execve(2) passes none. */
export type HostileCase = {
  /** What names a file holds a mark in the place of its path, in the file of connections too; see `materialize`. */
  readonly environment: Environment;
  readonly envFile?: Uint8Array;
  readonly pskFile?: Uint8Array;
  readonly connectionsFile?: Uint8Array;
  /** Is part of every secret in it, and of nothing else. */
  readonly canary: string;
};

export type HostileRequest = {
  /** Environments that authenticate by certificates, each as likely as a pre-shared key. */
  readonly credentials?: readonly Environment[];
};

export const hostileEnvironment = ({ credentials = [] }: HostileRequest = {}): fc.Arbitrary<HostileCase> =>
  fc
    .record({
      canary: fc.stringMatching(/^[0-9a-f]{16}$/).map((digits) => `cAnArY${digits}`),
      isAlmostValid: fc.boolean(),
      base: fc.record(
        Object.fromEntries(Object.entries(base).map(([name, values]) => [name, fc.constantFrom(...values)])),
      ),
      kept: fc.double({ min: 0, max: 1, noNaN: true }),
      changes: fc.array(change, { maxLength: 4 }),
      unknown: fc.oneof(
        { weight: 8, arbitrary: fc.constant([]) },
        { weight: 2, arbitrary: fc.array(fc.tuple(unknownName, nasty), { maxLength: 5 }) },
        {
          weight: 1,
          arbitrary: fc.array(fc.tuple(unknownName, fc.constant("x")), { minLength: 60, maxLength: 200 }),
        },
      ),
      secret,
      certified: fc.constantFrom(undefined, ...credentials),
      place: fc.oneof(
        { weight: 6, arbitrary: fc.constant("environment" as const) },
        {
          weight: 2,
          arbitrary: fc.constantFrom("file", "envFile", "misspelt", "misplaced", "both", "nowhere"),
        },
      ),
      junk: fc.uint8Array({ maxLength: 200 }),
      envFileLines: fc.array(fc.oneof(assignmentLine, nasty, fc.string({ unit: "binary", maxLength: 40 })), {
        maxLength: 6,
      }),
      withEnvFile: fc.integer({ min: 0, max: 9 }),
    })
    .map((drawn) => {
      const environment: Record<string, string> = {};
      for (const [index, [name, value]] of Object.entries(drawn.base).entries()) {
        if (drawn.isAlmostValid || (index * 0.37 + drawn.kept) % 1 < 0.6) environment[name] = value;
      }
      // What is before a key in PEM is no part of it, but as secret; and a passphrase opens also what is open.
      for (const [name, value] of Object.entries(drawn.certified ?? {}))
        environment[name] = name === "IPSEC_PRIVATE_KEY" ? `${drawn.canary}\n${value}` : value;
      if (drawn.certified !== undefined) environment["IPSEC_PRIVATE_KEY_PASSPHRASE"] = drawn.canary;
      for (const [name, value] of [...drawn.changes, ...drawn.unknown]) environment[name] = value;
      const key = drawn.secret(drawn.canary);
      if (drawn.place === "environment" || drawn.place === "both") environment["IPSEC_PSK"] = key;
      if (drawn.place === "misspelt") environment["IPSEC_PSKK"] = key;
      if (drawn.place === "misplaced") environment["IPSEC_PSK_FILE"] = key;
      const pskFile = Buffer.concat([drawn.junk, Buffer.from(key), drawn.junk]);
      if (drawn.place === "file" || drawn.place === "both") environment["IPSEC_PSK_FILE"] = fileMark;
      const hasEnvFile = drawn.place === "envFile" || drawn.withEnvFile === 0;
      if (hasEnvFile) environment["ENVFILE"] = fileMark;
      const lines =
        drawn.place === "envFile" ? [...drawn.envFileLines, `IPSEC_PSK=${key}`] : drawn.envFileLines;
      const made: HostileCase = {
        environment: Object.fromEntries(
          Object.entries(environment).map(([name, value]) => [name, passable(value)]),
        ),
        canary: drawn.canary,
        ...(hasEnvFile
          ? {
              envFile: Buffer.concat([
                Buffer.from(`${lines.join("\n")}\n`),
                drawn.withEnvFile === 0 ? drawn.junk : Buffer.from(""),
              ]),
            }
          : {}),
        ...(environment["IPSEC_PSK_FILE"] === fileMark ? { pskFile } : {}),
      };
      return showingItsCommand(made);
    });

/** What fast-check prints of a counterexample. */
export const showingItsCommand = (made: HostileCase): HostileCase =>
  Object.defineProperty(made, fc.toStringMethod, {
    value: () => `\n${asCommand(made)}\n`,
    enumerable: false,
  });

/** A command for bash that makes the environment again, to be followed by `node src/main.ts check`. */
export const asCommand = (made: HostileCase): string => {
  const files = filesOf(made, "/tmp");
  const written = files.map(
    ({ path, bytes }) => `base64 -d > ${path} <<< ${Buffer.from(bytes).toString("base64")}`,
  );
  const paths = new Map(files.map(({ variable, path }) => [variable, path]));
  const words = Object.entries(made.environment).map(([name, value]) =>
    ansiQuoted(`${name}=${value === fileMark ? paths.get(name) : value}`),
  );
  return [...written, `env ${words.join(" \\\n  ")} \\\n  node src/main.ts check`].join("\n");
};

/** Writes the files of a case below the directory and gives the environment that names them. */
export const materialize = (made: HostileCase, directory: string): Environment => {
  const environment: Record<string, string> = { ...made.environment };
  for (const { variable, path, bytes } of filesOf(made, directory)) {
    writeFileSync(path, bytes);
    if (environment[variable] === fileMark) environment[variable] = path;
  }
  return environment;
};

const filesOf = ({ envFile, pskFile, connectionsFile }: HostileCase, directory: string) => {
  const pskPath = join(directory, "hostile.psk");
  const connections =
    connectionsFile && Buffer.from(connectionsFile).toString("latin1").replaceAll(fileMark, pskPath);
  return [
    { variable: "IPSEC_PSK_FILE", path: pskPath, bytes: pskFile },
    { variable: "ENVFILE", path: join(directory, "hostile.env"), bytes: envFile },
    {
      variable: "IPSEC_CONFIG_FILE",
      path: join(directory, "hostile.yaml"),
      bytes: connections && Buffer.from(connections, "latin1"),
    },
  ].flatMap(({ bytes, ...file }) => (bytes === undefined || bytes === "" ? [] : [{ ...file, bytes }]));
};

/** Every text by which somebody could know the canary: itself, hexadecimal, and base64 at each of its three alignments. */
export const formsOfCanary = (canary: string): readonly string[] => {
  const bytes = Buffer.from(canary);
  const aligned = [0, 1, 2].map((offset) => {
    const text = Buffer.concat([Buffer.alloc(offset), bytes])
      .toString("base64")
      .replace(/=+$/, "");
    // The first and last letters hold bits of the neighbours too.
    return text.slice(offset === 0 ? 0 : offset + 1, -1);
  });
  return [canary, bytes.toString("hex"), ...aligned];
};

/** Chosen anew for each run; a failure prints it, and VNF_IPSEC_TEST_SEED brings it back. */
export const hostileSeed = (): number =>
  Number(
    process.env["VNF_IPSEC_TEST_SEED"] ??
      (process.env["VNF_IPSEC_TEST_FULL"] === "1" ? Date.now() % 2 ** 31 : 1),
  );

export const fileMark = "/nonexistent/file-of-the-case";

const passable = (text: string): string => text.replaceAll("\0", "␀").toWellFormed().slice(0, 100_000);

const ansiQuoted = (text: string): string =>
  `$'${text.replace(/[\\']/g, "\\$&").replace(/\p{Cc}/gu, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`)}'`;

const base: Readonly<Record<string, readonly [string, ...string[]]>> = {
  IPSEC_LOCALIP: ["192.0.2.1", "192.0.2.1", "%any", "2001:db8::1"],
  IPSEC_LOCALID: [
    "moon.example.com",
    "@moon",
    "vpn@example.com",
    "C=DE, O=Example, CN=moon",
    "keyid:moon room",
    "@#6d6f",
  ],
  IPSEC_LOCALNET: ["10.1.0.0/16", "10.1.0.0/16,10.3.0.0/24", "10.1.2.3/16", "2001:db8:1::/48,10.1.0.0/16"],
  IPSEC_REMOTEIP: ["198.51.100.7", "198.51.100.7", "vpn.example.com", "%any"],
  IPSEC_REMOTEID: [
    "sun.example.com",
    "198.51.100.7",
    "%any",
    "sun@example.com",
    "*.example.com",
    'C=DE, O="Example, Ltd.", CN=*',
    "C=DE, O=M\\C3\\BCller + Söhne, CN=sun",
  ],
  IPSEC_REMOTENET: ["10.2.0.0/16", "10.2.0.0/16,172.16.0.0/12", "10.2.0.1"],
};

const nastyTexts = [
  ...[
    "",
    " ",
    "\t",
    "\n",
    "\r\n",
    "'",
    '"',
    '""',
    "''",
    '"\'"',
    "`",
    "\\",
    "\\\\n",
    "#",
    "=",
    ":",
    ";",
    ",",
    ",,",
    "!",
    "%",
    "$",
    "$(reboot)",
  ],
  ...[
    "a\nconn evil\n\tauto=start",
    "x\n\tleft=%any",
    '"\n: PSK "x"',
    " : PSK evil",
    ": PSK evil",
    "include /etc/passwd",
    "also=evil",
    "}\nplugins {",
  ],
  ...[
    "\u001b[2J\u001b[31m",
    "\u0007\b\b\b",
    "\u2028",
    "\u202e",
    "\ufeff",
    "\ud83d\ude00",
    "é",
    "ß".repeat(40),
    "\u007f",
    "\u0085",
    "\u00a0",
  ],
  ...[
    "0",
    "-1",
    "1e309",
    "0x",
    "0s",
    "0x0",
    "NaN",
    "Infinity",
    "4294967296",
    "00",
    "1.5h",
    "1.0000001h",
    "99999999999d",
    "٣",
  ],
  ...[
    "%any",
    "%ANY",
    "%any6",
    "%defaultroute",
    "%unique",
    "%forever",
    "any",
    "*",
    "0.0.0.0",
    "0.0.0.0/0",
    "::",
    "::/0",
    "::ffff:1.2.3.4",
    "fe80::1%eth0",
  ],
  ...[
    "255.255.255.255",
    "224.0.0.1",
    "010.1.1.1",
    "1.2.3",
    "1.2.3.4.5",
    "10.0.0.0/33",
    "10.0.0.0/-1",
    "10.0.0.0/08",
    "10.0.0.0//8",
    "10.0.0.0/8/8",
    "[::1]",
  ],
  ...[
    "../../etc/passwd",
    "..",
    ".",
    "/",
    "__proto__",
    "constructor",
    "toString",
    "hasOwnProperty",
    "undefined",
    "null",
    "{{marker}}",
    "{{{{raw}}}}",
  ],
  ...[
    "yes",
    "NO",
    "TRUE",
    "oui",
    "default",
    "aes128",
    "aes128-sha256-modp3072!",
    "3des-md5-modp1024",
    "null",
    "aes256gcm16-sha256",
    "esp=null",
  ],
  ...[
    "@",
    "@@",
    "@#",
    "@#zz",
    "keyid:",
    "keyid:#",
    "email:x",
    "CN=",
    "=",
    "C=DE,,CN=x",
    "/C=DE/CN=x",
    "CN=a\nb",
    "a@b@c",
    "fqdn:x",
  ],
];

const huge = fc
  .tuple(
    fc.constantFrom(
      "a",
      "1",
      ",",
      "10.0.0.0/8,",
      "\n",
      "-",
      "aes128-",
      '"',
      "\u001b",
      "é",
      "= ",
      "CN=x,",
      "9",
    ),
    fc.integer({ min: 100, max: 60_000 }),
  )
  .map(([unit, length]) => unit.repeat(Math.ceil(length / unit.length)));

export const nasty: fc.Arbitrary<string> = fc.oneof(
  { weight: 12, arbitrary: fc.constantFrom(...nastyTexts) },
  { weight: 4, arbitrary: fc.string({ unit: "binary", maxLength: 30 }) },
  { weight: 4, arbitrary: fc.string({ maxLength: 60 }) },
  { weight: 1, arbitrary: huge },
);

const goodValue = (name: (typeof variableNames)[number]): fc.Arbitrary<string> => {
  const { example, words = [], default: text } = definitionOf(name);
  return fc.constantFrom(example, ...words, ...(text === undefined ? [] : [text]), ...(base[name] ?? []));
};

/** A good value with one slip, or with something nasty put into it. */
const nearlyGood = (good: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc
    .tuple(good, fc.nat(), fc.constantFrom("delete", "insert", "double", "upper", "quote", "append"), nasty)
    .map(([text, at, slip, bad]) => {
      const index = at % (text.length + 1);
      switch (slip) {
        case "delete":
          return text.slice(0, index) + text.slice(index + 1);
        case "insert":
          return text.slice(0, index) + bad + text.slice(index);
        case "double":
          return `${text},${text}`;
        case "upper":
          return text.toUpperCase();
        case "quote":
          return `"${text}"`;
        case "append":
          return text + bad;
        default:
          return slip satisfies never;
      }
    });

const perturbed = variableNames.filter((name) => name !== "ENVFILE" && name !== "IPSEC_PSK");

const change: fc.Arbitrary<readonly [string, string]> = fc
  .constantFrom(...perturbed, "ENVFILE" as const)
  .chain((name) =>
    fc
      .oneof(
        { weight: 4, arbitrary: goodValue(name) },
        { weight: 4, arbitrary: nearlyGood(goodValue(name)) },
        { weight: 3, arbitrary: nasty },
        {
          weight: 1,
          arbitrary: fc.constantFrom(
            "/",
            "/dev/null",
            "/dev/zero",
            "/proc/self/mem",
            "/nonexistent",
            `/${"x".repeat(5000)}`,
            "/etc/passwd",
          ),
        },
      )
      .map((value) => [name, value] as const),
  );

const unknownName: fc.Arbitrary<string> = fc
  .oneof(
    fc.constantFrom(
      "IPSEC_",
      "IPSEC_REMOTE_IP",
      "IPSEC_PSK_FILES",
      "IPSEC_LOCALNETS",
      "IPSEC_XAUTH",
      "IPSEC_\n",
      "IPSEC___proto__",
    ),
    fc.string({ unit: "binary", maxLength: 90 }).map((text) => `IPSEC_${text}`),
    fc.string({ maxLength: 20 }).map((text) => `IPSEC_${text}`),
  )
  .map((name) => passable(name).replaceAll("=", "-"));

const assignmentLine = fc
  .tuple(
    fc.constantFrom(...perturbed),
    nasty,
    fc.constantFrom("", "'", '"', "`"),
    fc.constantFrom("", "export ", " "),
  )
  .map(([name, value, quote, prefix]) => `${prefix}${name}=${quote}${value}${quote}`);

/** A key around the canary: plain, encoded, broken, with all that quoting could trip over. */
const secret: fc.Arbitrary<(canary: string) => string> = fc
  .tuple(
    fc.constantFrom(
      "plain",
      "base64",
      "hex",
      "broken base64",
      "broken hex",
      "quoted",
      "half quoted",
      "nasty",
    ),
    nasty,
  )
  .map(([form, bad]) => (canary: string): string => {
    switch (form) {
      case "plain":
        return `${canary}-${canary}`;
      case "base64":
        return `0s${Buffer.from(canary + bad).toString("base64")}`;
      case "hex":
        return `0x${Buffer.from(canary).toString("hex")}`;
      case "broken base64":
        return `0s${canary}!`;
      case "broken hex":
        return `0x${canary}`;
      case "quoted":
        return `"${canary}"`;
      case "half quoted":
        return `"${canary}`;
      case "nasty":
        return `${canary}${bad}${canary}`;
      default:
        return form satisfies never;
    }
  });
