/** The layouts of `templates/` by name; each fills in what its file asks for and throws on what is missing. */
export type Templates = Readonly<Record<TemplateName, (values: object) => string>>;

export const templateNames = [
  "stroke/connection.conf",
  "stroke/connection.secrets",
  "strongswan/charon.conf",
  "swanctl/connection.conf",
] as const;

export type TemplateName = (typeof templateNames)[number];
