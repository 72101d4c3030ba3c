import * as z from "zod/mini";
import { keyOf } from "./connection-keys.ts";
import type { ReferenceFormat } from "./reference-formats.ts";
import { definitionOf, groups, type VariableName, variableNames } from "./variables.ts";

/** The reference of all variables, derived from their definitions. */
export const renderReference = (format: ReferenceFormat): string => {
  switch (format) {
    case "table":
      return table();
    case "markdown":
      return markdown();
    case "env":
      return environmentFile();
    case "json-schema":
      return `${JSON.stringify(environmentSchema(), null, 2)}\n`;
    case "connections-schema":
      return `${JSON.stringify(connectionsSchema(), null, 2)}\n`;
    default:
      return format satisfies never;
  }
};

/** The names and defaults of a Markdown table, for the README. */
export const markdownSummary = (): string =>
  [
    "| variable | default | meaning |",
    "|---|---|---|",
    ...variableNames.map(
      (name) => `| \`${name}\` | ${defaultInWords(name)} | ${definitionOf(name).meaning} |`,
    ),
    "",
  ].join("\n");

const namesIn = (group: (typeof groups)[number]): readonly VariableName[] =>
  variableNames.filter((name) => definitionOf(name).group === group);

const defaultInWords = (name: VariableName): string => {
  const { default: text, defaultFrom, required } = definitionOf(name);
  if (required) return "required";
  return text === undefined ? (defaultFrom ?? "–") : `\`${text}\``;
};

const table = (): string => {
  const rows = variableNames.map(
    (name) => [name, plain(defaultInWords(name)), plain(definitionOf(name).values)] as const,
  );
  const width = Math.max(...rows.map(([name]) => name.length));
  return groups
    .map((group) => {
      const lines = namesIn(group).map((name) => {
        const definition = definitionOf(name);
        return [
          `  ${name.padEnd(width)}  ${plain(definition.meaning)}`,
          `  ${" ".repeat(width)}  values: ${plain(definition.values)}; default: ${plain(defaultInWords(name))}`,
        ].join("\n");
      });
      return `${group}\n${lines.join("\n")}\n`;
    })
    .join("\n");
};

const plain = (markdownText: string): string => markdownText.replaceAll("`", "");

const markdown = (): string =>
  groups
    .map((group) =>
      [
        `## ${group}`,
        "",
        "| variable | default | values | meaning |",
        "|---|---|---|---|",
        ...namesIn(group).map((name) => {
          const { values, meaning, parseBytes } = definitionOf(name);
          const file = parseBytes ? ` Also as a file: \`${name}_FILE\`.` : "";
          return `| \`${name}\` | ${defaultInWords(name)} | ${values} | ${meaning}${file} |`;
        }),
        "",
      ].join("\n"),
    )
    .join("\n");

const environmentFile = (): string =>
  groups
    .map((group) =>
      [
        `# ${group}`,
        ...namesIn(group).flatMap((name) => {
          const { meaning, values, example, required, isText } = definitionOf(name);
          return [
            "",
            `# ${plain(meaning)}`,
            `# Values: ${plain(values)}. Default: ${plain(defaultInWords(name))}.`,
            `${required ? "" : "#"}${name}${isText ? "_FILE" : ""}=${example}`,
          ];
        }),
        "",
      ].join("\n"),
    )
    .join("\n");

/** JSON Schema (2020-12) of an environment, as its input is written. */
const environmentSchema = (): object => ({
  $schema: dialect,
  title: "Environment of vnf-ipsec",
  type: "object",
  properties: Object.fromEntries(
    variableNames.flatMap((name) => propertiesOf(name).map((property) => [property.name, property.schema])),
  ),
});

/** JSON Schema of the file that `IPSEC_CONFIG_FILE` names. A key is accepted in both of its usual spellings. */
const connectionsSchema = (): object => ({
  $schema: dialect,
  title: "Connections of vnf-ipsec",
  type: "object",
  properties: {
    defaults: {
      description: "What every connection has that does not say it itself.",
      $ref: "#/$defs/connection",
    },
    connections: {
      description: "The connections by their names.",
      type: "object",
      minProperties: 1,
      propertyNames: { pattern: "^(?:<<|[a-z][a-z0-9-]{0,30})$" },
      additionalProperties: { $ref: "#/$defs/connection" },
    },
  },
  required: ["connections"],
  additionalProperties: false,
  $defs: {
    connection: {
      type: ["object", "null"],
      properties: Object.fromEntries(
        variableNames
          .filter((name) => definitionOf(name).scope === undefined && name !== "IPSEC_NAME")
          .flatMap(propertiesOf)
          .flatMap(({ name, schema, isSecret }) => {
            const key = keyOf(name);
            const value = { ...schema, type: [...scalarTypes, ...(isSecret ? [] : ["array"])] };
            const camel = key.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
            return [...new Set([key, camel])].map((spelling) => [spelling, value]);
          }),
      ),
      patternProperties: { "^<<$": true },
      additionalProperties: false,
    },
  },
});

const dialect = "https://json-schema.org/draft/2020-12/schema";

/** Whatever is written is read as text; a list is joined by commas. */
const scalarTypes = ["string", "number", "boolean", "null"];

type Property = { readonly name: string; readonly schema: object; readonly isSecret: boolean };

const propertiesOf = (name: VariableName): readonly Property[] => {
  const {
    schema,
    meaning,
    values,
    default: text,
    words,
    secret,
    parseBytes,
    isText,
    example,
  } = definitionOf(name);
  const property = {
    ...z.toJSONSchema(schema, { io: "input" }),
    $schema: undefined,
    description: `${plain(meaning)} Values: ${plain(values)}.`,
    ...(text === undefined ? {} : { default: text }),
    ...(words === undefined ? {} : { examples: words }),
    ...(words !== undefined || secret || isText ? {} : { examples: [example] }),
    ...(secret ? { writeOnly: true } : {}),
  };
  const file = {
    type: "string",
    description: `Path of a file with the value of ${name}.`,
    ...(isText ? { examples: [example] } : {}),
  };
  return [
    { name, schema: property, isSecret: secret === true },
    ...(parseBytes ? [{ name: `${name}_FILE`, schema: file, isSecret: false }] : []),
  ];
};
