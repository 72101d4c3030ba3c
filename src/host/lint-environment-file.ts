import { type Problem, quoted } from "../failure.ts";

/**
 * Finds what a shell and dotenv would read differently. The predecessor sourced this file in a shell, dotenv
 * parses it here: a file that both understand alike means what its author thinks.
 * Values are never shown, since they may be secrets.
 */
export const lintEnvironmentFile = (text: string, path: string): readonly Problem[] => {
  const problems: Problem[] = [];
  const report = (line: number, name: string | undefined, reason: string, hint = singleQuotes): void => {
    const where = `${quoted(path).slice(1, -1)}:${line}`;
    problems.push(
      name === undefined
        ? { variable: "ENVFILE", message: `${where}: ${reason}`, hint }
        : { variable: name, message: `${where}: ${quoted(name).slice(1, -1)}: ${reason}`, hint },
    );
  };
  const lines = text.split(/\r\n|\n|\r/);
  for (let index = 0; index < lines.length; index++) {
    const line = lines[index] as string;
    const number = index + 1;
    if (/^\s*(?:#.*)?$/.test(line)) continue;
    const assignment = /^\s*(?:export\s+)?([A-Za-z_]\w*)=(.*)$/s.exec(line);
    if (assignment === null) {
      report(
        number,
        undefined,
        "is neither NAME=value nor a comment",
        "write NAME=value, without white space around the =",
      );
      continue;
    }
    const [, name, rest = ""] = assignment as unknown as [string, string, string];
    if (/^\s+[^\s#]/.test(rest)) {
      report(number, name, "has white space after the =, where a shell would end the value");
      continue;
    }
    const quote = /^\s*(['"`])/.exec(rest)?.[1];
    if (quote === undefined) {
      const reason = unquotedTrouble(rest);
      if (reason !== undefined) report(number, name, reason);
      continue;
    }
    // A quoted value may go on over several lines, to its closing quote.
    let value = rest.trimStart().slice(1);
    while (!value.includes(quote) && index + 1 < lines.length) value += `\n${lines[++index]}`;
    const end = value.indexOf(quote);
    if (end < 0) {
      report(number, name, `has no closing ${quote}`, "close the quote");
      continue;
    }
    const reason = quotedTrouble(quote, value.slice(0, end), value.slice(end + 1));
    if (reason !== undefined) report(number, name, reason);
  }
  return problems;
};

const singleQuotes = "put the value in single quotes";

const unquotedTrouble = (rest: string): string | undefined => {
  const value = rest.replace(/\s#.*$/s, "");
  if (value.includes("#")) return "has an unquoted # inside the value, where dotenv would cut it off";
  if (value.includes("$")) return "has an unquoted $, which a shell would expand";
  if (/[\\`'"]/.test(value)) return "has an unquoted backslash or quote, which a shell would interpret";
  if (/\S\s+\S/.test(value))
    return "has unquoted white space inside the value, after which a shell would see a command";
  if (/^\s*~|:~/.test(value)) return "has an unquoted ~, which a shell would expand";
  if (/[;&|<>()]/.test(value)) return "has an unquoted character that a shell would interpret";
  return undefined;
};

const quotedTrouble = (quote: string, value: string, after: string): string | undefined => {
  if (quote === "`") return "is in backquotes, which a shell would run as a command";
  if (!/^(?:\s*|\s+#.*)$/.test(after)) return "goes on after its closing quote";
  if (quote === "'") return undefined;
  if (/(?<!\\)\$/.test(value)) return "has a $ in double quotes, which a shell would expand";
  if (/[\\`]/.test(value))
    return "has a backslash or backquote in double quotes, which a shell would interpret";
  return undefined;
};
