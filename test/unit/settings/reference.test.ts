import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Ajv2020 } from "ajv/dist/2020.js";
import { parse } from "dotenv";
import { parse as parseYaml } from "yaml";
import { lintEnvironmentFile } from "../../../src/host/lint-environment-file.ts";
import { parseSettings } from "../../../src/settings/parse-settings.ts";
import { renderReference } from "../../../src/settings/reference.ts";
import { definitionOf, valueFileNames, variableNames } from "../../../src/settings/variables.ts";
import { environmentOf } from "../../support/environment-of.ts";
import { repository } from "../../support/repository.ts";

type Property = {
  readonly type?: string;
  readonly default?: string;
  readonly description?: string;
  readonly writeOnly?: boolean;
};
const schema = JSON.parse(renderReference("json-schema")) as {
  readonly type: string;
  readonly properties: Readonly<Record<string, Property>>;
};

test("each default and each example is a good value of its variable", () => {
  for (const name of variableNames) {
    const { schema: check, default: text, example, words = [], isText } = definitionOf(name);
    for (const value of [...(isText ? [] : [example]), ...words, ...(text === undefined ? [] : [text])]) {
      assert.ok(check.safeParse(value).success, `${name}=${value}`);
    }
  }
});

test("each meaning is a sentence, and every variable is in every format", () => {
  for (const name of variableNames) assert.match(definitionOf(name).meaning, /^[A-Z`].*\.$/s, name);
  for (const format of ["table", "markdown", "env", "json-schema"] as const) {
    const text = renderReference(format);
    for (const name of variableNames) assert.ok(text.includes(name), `${name} in ${format}`);
  }
});

test("the environment file of the reference is one that a shell and dotenv read alike, and is valid as it is", () => {
  const text = renderReference("env");
  assert.deepEqual(lintEnvironmentFile(text, ".env.example"), []);
  const values = { ...parse(text), IPSEC_LOCALID: "moon.example.com", IPSEC_REMOTEID: "sun.example.com" };
  assert.deepEqual(parseSettings(environmentOf(values), "gateway").errors, []);
});

test("with every line of it in effect, only what excludes each other is wrong", () => {
  const text = renderReference("env").replace(/^#(?=[A-Z_]+=)/gm, "");
  const values = parse(text);
  for (const name of variableNames)
    assert.ok((definitionOf(name).isText ? `${name}_FILE` : name) in values, name);
  assert.deepEqual(lintEnvironmentFile(text, ".env.example"), []);
  const { errors } = parseSettings(environmentOf({ ...values, ENVFILE: "" }), "gateway");
  assert.deepEqual(
    errors.map(({ variable }) => variable),
    ["IPSEC_XFRM_IF_ID, IPSEC_VTI_KEY"],
  );
});

test("the JSON Schema describes exactly the variables and the files of secrets, all of them text", () => {
  assert.deepEqual(
    Object.keys(schema.properties).toSorted(),
    [...variableNames, ...valueFileNames].toSorted(),
  );
  for (const [name, property] of Object.entries(schema.properties))
    assert.equal(property.type, "string", name);
  for (const [name, value] of Object.entries(parse(renderReference("env")))) {
    assert.equal(typeof value, schema.properties[name]?.type, name);
  }
});

test("the JSON Schema has the defaults, and no example of a secret", () => {
  for (const name of variableNames) {
    const { default: text, secret, example } = definitionOf(name);
    assert.equal(schema.properties[name]?.default, text, name);
    assert.equal(schema.properties[name]?.writeOnly === true, secret === true, name);
    if (secret) assert.ok(!JSON.stringify(schema.properties[name]).includes(example));
  }
});

test("a Markdown table has the same number of cells in every row", () => {
  for (const row of renderReference("markdown")
    .split("\n")
    .filter((line) => line.startsWith("|"))) {
    assert.equal(row.split("|").length, 6, row);
  }
});

test("the JSON Schema of connections fits a file of them, and no key that is not known", () => {
  const isValid = new Ajv2020({ allowUnionTypes: true }).compile(
    JSON.parse(renderReference("connections-schema")),
  );
  const golden = readFileSync(`${repository}/test/golden/cases/several-connections/connections.yaml`, "utf8");
  assert.ok(isValid(parseYaml(golden, { merge: true })), JSON.stringify(isValid.errors));
  assert.ok(
    isValid({
      connections: { a: { pskFile: "/key", psk_file: "/key", vti_key: 42, remotenet: ["10.2.0.0/16"] } },
    }),
  );
  for (const wrong of [
    {},
    { connections: {} },
    { connections: { A: {} } },
    { connections: { a: { backend: "stroke" } } },
  ])
    assert.ok(!isValid(wrong), JSON.stringify(wrong));
  assert.ok(!isValid({ connections: { a: { psk: ["a"] } } }));
});
