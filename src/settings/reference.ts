import * as z from "zod/mini";
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
      return `${JSON.stringify(jsonSchema(), null, 2)}\n`;
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
          const { values, meaning, secret } = definitionOf(name);
          const file = secret ? ` Also as a file: \`${name}_FILE\`.` : "";
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
          const { meaning, values, example, required } = definitionOf(name);
          return [
            "",
            `# ${plain(meaning)}`,
            `# Values: ${plain(values)}. Default: ${plain(defaultInWords(name))}.`,
            `${required ? "" : "#"}${name}=${example}`,
          ];
        }),
        "",
      ].join("\n"),
    )
    .join("\n");

/** JSON Schema (2020-12) of an environment, as its input is written. */
const jsonSchema = (): object => {
  const properties = Object.fromEntries(
    variableNames.flatMap((name) => {
      const { schema, meaning, values, default: text, words, secret, example } = definitionOf(name);
      const property = {
        ...z.toJSONSchema(schema, { io: "input" }),
        $schema: undefined,
        description: `${plain(meaning)} Values: ${plain(values)}.`,
        ...(text === undefined ? {} : { default: text }),
        ...(words === undefined ? {} : { examples: words }),
        ...(words !== undefined || secret ? {} : { examples: [example] }),
        ...(secret ? { writeOnly: true } : {}),
      };
      const file = { type: "string", description: `Path of a file with the value of ${name}.` };
      return secret
        ? [
            [name, property],
            [`${name}_FILE`, file],
          ]
        : [[name, property]];
    }),
  );
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "Environment of vnf-ipsec",
    type: "object",
    properties,
  };
};
