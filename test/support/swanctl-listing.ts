/** A message of vici as swanctl prints it: sections, lists and values, all text. */
export type Section = { readonly [name: string]: string | readonly string[] | Section };

/**
 * The messages in an output of `swanctl --list-… --pretty`, which has one value a line and so, unlike `--raw`,
 * no value that could be read in two ways (strongSwan src/libcharon/plugins/vici/vici_message.c, dump).
 */
export const parseListing = (text: string): Section[] => {
  const input = text.split("\n").map((line) => line.trim());
  const messages: Section[] = [];
  while (input.length > 0) {
    if (/^[a-z-]+ (?:event|reply) \{$/.test(input.shift() ?? "")) {
      messages.push(takeSection(input));
    }
  }
  return messages;
};

const takeSection = (input: string[]): Section => {
  const section: { [name: string]: Section[string] } = {};
  for (let line = input.shift(); line !== undefined && line !== "}"; line = input.shift()) {
    const [, name = "", opening, value] = /^(\S+)(?: \{|( = \[)| = (.*))$/.exec(line) ?? [];
    section[name] = opening !== undefined ? takeList(input) : (value ?? takeSection(input));
  }
  return section;
};

const takeList = (input: string[]): string[] => {
  const items: string[] = [];
  for (let line = input.shift(); line !== undefined && line !== "]"; line = input.shift()) {
    items.push(line);
  }
  return items;
};
