import { Buffer } from "node:buffer";
import fc from "fast-check";
import { connectionKeys, keyOf } from "../../src/settings/connection-keys.ts";
import {
  fileMark,
  type HostileCase,
  type HostileRequest,
  hostileEnvironment,
  nasty,
  showingItsCommand,
} from "./hostile-environment.ts";
import type { Environment } from "./site-process.ts";

/** Hostile environments as the connections of one file, which is broken in places, all with the canary of the first. */
export const hostileConnectionsFile = (request: HostileRequest = {}): fc.Arbitrary<HostileCase> =>
  fc
    .record({
      cases: fc.array(hostileEnvironment(request), { minLength: 1, maxLength: 4 }),
      defaults: hostileEnvironment(request),
      withDefaults: fc.boolean(),
      isTame: fc.boolean(),
      names: fc.uniqueArray(connectionName, { minLength: 4, maxLength: 4 }),
      writing: fc.infiniteStream(fc.constantFrom<Writing>("quoted", "quoted", "plain", "list")),
      damage: fc.oneof({ weight: 4, arbitrary: fc.constant(identity) }, { weight: 3, arbitrary: damage }),
    })
    .map(({ cases, defaults, withDefaults, isTame, names, writing, damage }) => {
      const [first] = cases as [HostileCase];
      const write = (one: HostileCase, own: Environment = {}): readonly string[] =>
        Object.entries({ ...one.environment, ...own })
          .filter(([name, value]) => connectionNames.has(name) && value !== "")
          .map(([name, value]) => {
            const text = value.replaceAll(one.canary, first.canary);
            return `    ${keyOf(name)}: ${written(text, writing.next().value ?? "quoted")}`;
          });
      const parts = [
        ...(withDefaults && !isTame ? ["defaults:", ...write(defaults)] : []),
        "connections:",
        ...cases.flatMap((one, index) => [
          `  ${names[index]}:`,
          ...write(one, isTame ? distinct(index, one, first.canary) : {}),
        ]),
      ];
      const pskFile = [...cases, defaults].find((one) => one.pskFile !== undefined)?.pskFile;
      const key = pskFile && Buffer.from(pskFile).toString("latin1");
      return showingItsCommand({
        canary: first.canary,
        environment: {
          ...Object.fromEntries(
            Object.entries(first.environment).filter(
              ([name]) => !connectionNames.has(name) && name !== "ENVFILE",
            ),
          ),
          IPSEC_CONFIG_FILE: fileMark,
        },
        connectionsFile: Buffer.from((isTame ? identity : damage)(`${parts.join("\n")}\n`)),
        ...(key === undefined
          ? {}
          : { pskFile: Buffer.from(key.replace(/cAnArY[0-9a-f]{16}/g, first.canary), "latin1") }),
      });
    });

/** What keeps connections from being refused for what they have in common. */
const distinct = (index: number, { environment }: HostileCase, canary: string): Environment => ({
  IPSEC_LOCALNET: "10.1.0.0/16",
  IPSEC_REMOTENET: `10.${20 + index}.0.0/16`,
  IPSEC_REMOTEIP: `198.51.100.${index + 1}`,
  IPSEC_PSK_FILE: "",
  ...(environment["IPSEC_AUTH"] === "pubkey"
    ? {}
    : { IPSEC_REMOTEID: `${index}.example.com`, IPSEC_PSK: `${canary} of ${index}` }),
});

type Writing = "quoted" | "plain" | "list";

type Damage = (text: string) => string;

const identity: Damage = (text) => text;

const connectionNames: ReadonlySet<string> = new Set(connectionKeys.values());

const connectionName = fc.oneof(
  { weight: 8, arbitrary: fc.stringMatching(/^[a-z][a-z0-9-]{0,12}$/) },
  { weight: 1, arbitrary: nasty.map((text) => JSON.stringify(text.slice(0, 200))) },
);

const written = (text: string, writing: Writing): string => {
  // As people write PEM.
  if (text.includes("-----BEGIN ") && writing !== "quoted") return `|\n${text.replace(/^/gm, "      ")}`;
  switch (writing) {
    case "quoted":
      return JSON.stringify(text);
    case "plain":
      return text;
    case "list":
      return JSON.stringify(text.split(","));
    default:
      return writing satisfies never;
  }
};

const yamlTricks = [
  "&a ",
  "*a",
  "*nowhere",
  "<<: *a",
  "!!binary ",
  "!secret ",
  "? ",
  "| ",
  ">-\n",
  "{",
  "}",
  "[",
  "]",
  "- ",
  ": ",
  " #",
  "%YAML 9.9\n---\n",
  "...\n",
  "\n---\n",
  "connections:\n",
  "defaults: *a\n",
  "\n  __proto__: {psk: x}\n",
  "\n    ENVFILE: /etc/passwd\n",
  "\n    backend: swanctl\n",
  "\n    name: other\n",
] as const;

const inserted = (text: string, place: number, junk: string): string => {
  const at = place % (text.length + 1);
  return text.slice(0, at) + junk + text.slice(at);
};

const damage: fc.Arbitrary<Damage> = fc.oneof(
  fc.tuple(fc.nat(), nasty).map(
    ([place, junk]) =>
      (text: string) =>
        inserted(text, place, junk),
  ),
  fc.tuple(fc.nat(), fc.constantFrom(...yamlTricks)).map(
    ([place, trick]) =>
      (text: string) =>
        inserted(text, place, trick),
  ),
  fc.tuple(fc.nat(), fc.nat({ max: 200 })).map(
    ([place, length]) =>
      (text: string) =>
        text.slice(0, place % text.length) + text.slice((place % text.length) + length),
  ),
  fc.constantFrom<Damage>(
    (text) => text.replaceAll("\n", "\r\n"),
    (text) => text.replaceAll("  ", "\t"),
    (text) => `\ufeff${text}`,
    (text) => `${text}${text}`,
    (text) => `---\n${text}...\n---\n${text}`,
    (text) => `- ${text}`,
    () => "",
    () => "null",
    () => "connections: {}",
    () => `connections: ${"[".repeat(30_000)}`,
    () => `connections: ${"{a: ".repeat(30_000)}`,
    () => `connections: {a: &a {<<: *a}}`,
    () => `connections: {a: &a {localnet: *a}}`,
    () => `connections:\n${Array.from({ length: 10_001 }, (_, index) => `  c${index}: {}`).join("\n")}`,
    () =>
      `connections: {a: &a {${Array.from({ length: 2_000 }, (_, index) => `k${index}: v`).join(", ")}}, ${Array.from({ length: 200 }, (_, index) => `b${index}: *a`).join(", ")}}`,
  ),
);
