/** Forms of the reference of all variables; apart from it, so that the command line can be read without the schema. */
export const referenceFormats = ["table", "markdown", "env", "json-schema", "connections-schema"] as const;
export type ReferenceFormat = (typeof referenceFormats)[number];
