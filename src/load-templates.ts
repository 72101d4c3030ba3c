import { readFileSync } from "node:fs";
import Handlebars from "handlebars";
import { type TemplateName, type Templates, templateNames } from "./backend/templates.ts";

/**
 * Compiles the layouts of `templates/`. The build puts a module in the place of this one that has them compiled
 * already, so that neither the compiler nor the files are needed where the bundle runs.
 */
export const loadTemplates = (): Templates =>
  Object.fromEntries(templateNames.map((name) => [name, compile(name)])) as unknown as Templates;

const compile = (name: TemplateName): ((values: object) => string) => {
  const text = readFileSync(new URL(`../templates/${name}.hbs`, import.meta.url), "utf8");
  return Handlebars.compile<object>(text, templateOptions);
};

/** Configuration is not HTML: `=` must stay `=`. And a value that is missing is a fault, not an empty text. */
const templateOptions = { noEscape: true, strict: true } as const;
