import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { test } from "node:test";
import { causes } from "../../src/observe/causes.ts";
import { valueFileNames, variableNames } from "../../src/settings/variables.ts";
import { repository } from "../support/repository.ts";

const read = (path: string): string => readFileSync(`${repository}/${path}`, "utf8");

const page = read("docs/architecture.md");

const leaves = ["failure.ts", "secret.ts", "nearest.ts", "memoized.ts"];

/** The table of rooms: each with those that it may import. */
const rooms: ReadonlyMap<string, readonly string[]> = new Map(
  rowsUnder("## The rooms of src").map(([room = "", , allowed = ""]) => [
    names(room)[0] ?? "",
    names(allowed),
  ]),
);

test("the architecture page names every room of src, and no other", () => {
  const present = readdirSync(`${repository}/src`).filter((name) => !leaves.includes(name));
  assert.deepEqual([...rooms.keys()].sort(), present.sort());
  for (const leaf of leaves) assert.match(page, new RegExp(`\`${leaf}\``));
});

test("no room imports one that the architecture page does not allow it", () => {
  const forbidden = importsOf("src").flatMap(({ file, from, to }) => {
    const allowed = rooms.get(from) ?? [];
    const mayImport =
      from === to ||
      leaves.includes(to) ||
      allowed.includes(to) ||
      (from === "commands" && rooms.has(to) && !to.endsWith(".ts"));
    return mayImport ? [] : [`${file} imports ${to}`];
  });
  assert.deepEqual(forbidden, []);
});

test("each room imports all those that the architecture page says it may, so the page is not looser than the code", () => {
  const actual = new Set(importsOf("src").map(({ from, to }) => `${from} ${to}`));
  const unused = [...rooms].flatMap(([room, allowed]) =>
    allowed.filter((to) => !actual.has(`${room} ${to}`)).map((to) => `${room} ${to}`),
  );
  assert.deepEqual(unused, []);
});

test("every file and folder that the architecture page names exists", () => {
  const folders = ["", "src/", "src/daemon/", "scripts/", "docs/"];
  const paths = names(page).filter(
    (name) =>
      /^[\w./-]+$/.test(name) &&
      !name.startsWith("/") &&
      (name.includes("/") || /\.(?:ts|md|json)$/.test(name)),
  );
  assert.ok(paths.length > 30);
  assert.deepEqual(
    paths.filter((path) => !folders.some((folder) => existsSync(`${repository}/${folder}${path}`))),
    [],
  );
});

test("the table of what is around src names every folder of the repository that git keeps", () => {
  const named = rowsUnder("## Around src").flatMap(([folder = ""]) => names(folder));
  const kept = readdirSync(repository, { withFileTypes: true })
    .filter(
      (entry) =>
        entry.isDirectory() &&
        !entry.name.startsWith(".") &&
        !["node_modules", "dist", "src", "test"].includes(entry.name),
    )
    .map((entry) => entry.name);
  assert.deepEqual(
    kept.filter((name) => !named.includes(name)),
    [],
  );
  const tiers = readdirSync(`${repository}/test`)
    .filter((name) => name !== "support")
    .map((name) => `test/${name}`);
  assert.deepEqual(
    tiers.filter((name) => !named.includes(name)),
    [],
  );
});

test("the troubleshooting page has each cause of a diagnosis once, with its variables", () => {
  const rows = read("docs/troubleshooting.md")
    .split("\n")
    .filter((line) => line.startsWith("| `"));
  for (const [name, { variables }] of Object.entries(causes)) {
    const own = rows.filter((row) => row.startsWith(`| \`${name}\` |`));
    assert.equal(own.length, 1, name);
    for (const variable of variables) {
      // Some are of variables that are still to come; the reference does not know them yet.
      if ((variableNames as readonly string[]).includes(variable))
        assert.ok(own[0]?.includes(`\`${variable}\``), `${name}: ${variable}`);
    }
  }
});

test("the migration page and the README speak of no variable that does not exist, and the migration page of all old ones", () => {
  const known = new Set<string>([...variableNames, ...valueFileNames]);
  // One that the predecessor read without telling, and a misspelling on purpose.
  const exceptions = new Set(["IPSEC_LOCALPRIVIP", "IPSEC_REMOTNET"]);
  const pages = [
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    ...["architecture", "migration", "troubleshooting", "promises"].map((name) => `docs/${name}.md`),
  ];
  for (const path of pages) {
    const unknown = [...read(path).matchAll(/\b(?:IPSEC_[A-Z_]*[A-Z]|SET_ROUTE_[A-Z_]+|LOG_[A-Z]+)\b/g)]
      .map(([name]) => name)
      .filter((name) => !known.has(name) && !exceptions.has(name));
    assert.deepEqual(unknown, [], path);
  }
  const migration = names(read("docs/migration.md"));
  assert.deepEqual(
    predecessorVariables.filter((name) => !migration.includes(name)),
    [],
  );
});

/** The documented variables of openvnf/vnf-ipsec. */
const predecessorVariables = [
  "ENVFILE",
  "SET_ROUTE_DEFAULT_TABLE",
  "IPSEC_LOCALIP",
  "IPSEC_LOCALID",
  "IPSEC_LOCALNET",
  "IPSEC_REMOTEIP",
  "IPSEC_REMOTENET",
  "IPSEC_REMOTEID",
  "IPSEC_PSK",
  "IPSEC_KEYEXCHANGE",
  "IPSEC_ESPCIPHER",
  "IPSEC_IKECIPHER",
  "IPSEC_LIFETIME",
  "IPSEC_IKELIFETIME",
  "IPSEC_FORCEUDP",
  "IPSEC_IKEREAUTH",
  "IPSEC_INTERFACES",
  "DEBUG",
  "IPSEC_USE_MANUAL_CONFIG",
  "IPSEC_MANUAL_CHARON",
  "IPSEC_VTI_KEY",
  "IPSEC_VTI_STATICROUTES",
  "IPSEC_VTI_IPADDR_LOCAL",
  "IPSEC_VTI_IPADDR_PEER",
];

test("the troubleshooting page explains every event of the log", () => {
  const text = read("docs/troubleshooting.md");
  const events = sources("src").flatMap((file) =>
    [...read(file).matchAll(/\bevent: "([a-z-]+)"/g)].map(([, event = ""]) => event),
  );
  assert.ok(events.includes("ready"));
  assert.deepEqual(
    [...new Set(events)].filter((event) => !text.includes(`\`${event}\``)),
    [],
  );
});

test("the promises page names the tests that show them, with the counts that are in those tests", () => {
  const rows = read("docs/promises.md")
    .split("\n")
    .filter((line) => /^\| \d/.test(line))
    .map((line) =>
      line
        .split("|")
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
  assert.ok(rows.length > 0);
  const strayed = rows.flatMap(([number = "", , usual = "", full = "", shownBy = ""]) => {
    const files = names(shownBy).filter((name) => name.endsWith(".test.ts"));
    const missing = files.filter((path) => !existsSync(`${repository}/${path}`));
    if (files.length === 0 || missing.length > 0) return [`${number}: ${missing.join(", ") || "no test"}`];
    const figures = files.flatMap((path) =>
      [
        ...read(path)
          .replaceAll("_", "")
          .matchAll(/\b\d+\b/g),
      ].map(([figure]) => figure),
    );
    const claimed = [usual, full].flatMap((cell) => cell.replaceAll(",", "").match(/\d+/g) ?? []);
    return claimed
      .filter((figure) => !figures.includes(figure))
      .map((figure) => `${number}: ${figure} is not in ${files.join(", ")}`);
  });
  assert.deepEqual(strayed, []);
});

/** Rows of the first table after a heading, without its head. */
function rowsUnder(heading: string): readonly (readonly string[])[] {
  const section = page.slice(page.indexOf(heading)).split("\n## ")[0] ?? "";
  const rows = section.split("\n").filter((line) => line.startsWith("|"));
  return rows.slice(2).map((row) =>
    row
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

/** What stands in backquotes. */
function names(text: string): readonly string[] {
  return [...text.matchAll(/`([^`\n]+)`/g)].map(([, name = ""]) => name);
}

type Import = { readonly file: string; readonly from: string; readonly to: string };

/** Imports of one room by another; a room is a folder of src or a file directly in it. */
function importsOf(folder: string): readonly Import[] {
  const roomOf = (path: string): string => relative("src", path).split("/")[0] ?? "";
  return sources(folder)
    .flatMap((file) =>
      [...read(file).matchAll(/(?:from|import\()\s*"(\.[^"]+\.ts)"/g)].map(([, path = ""]) => ({
        file,
        from: roomOf(file),
        to: roomOf(join(dirname(file), path)),
      })),
    )
    .filter(({ from, to }) => from !== to);
}

function sources(folder: string): readonly string[] {
  return readdirSync(`${repository}/${folder}`, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => join(folder, name));
}
