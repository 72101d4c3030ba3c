import process from "node:process";
import { styleText } from "node:util";

/** What a person sees: at most 80 columns, colours only on a terminal that may have them (NO_COLOR, styleText). */
export type Page = {
  readonly title: (text: string) => void;
  readonly text: (...lines: readonly string[]) => void;
  /** A step that begins. */
  readonly step: (text: string) => void;
  /** Something that was just seen to be so. */
  readonly seen: (text: string) => void;
  /** Words of others, such as a line of tcpdump; cut where the page ends. */
  readonly quote: (...lines: readonly string[]) => void;
  /** A command that a person could type. */
  readonly command: (text: string) => void;
  readonly table: (rows: readonly (readonly string[])[]) => void;
  readonly failure: (text: string) => void;
};

export const openPage = (): Page => {
  const { stdout } = process;
  const styled = (format: Parameters<typeof styleText>[0], text: string) =>
    styleText(format, text, { stream: stdout });
  const print = (line = "") => stdout.write(`${line}\n`);
  let steps = 0;
  return {
    title: (text) => print(styled("bold", text)),
    text: (...lines) => lines.forEach(print),
    step: (text) => {
      steps += 1;
      print();
      print(styled("bold", `${steps}. ${text}`));
    },
    seen: (text) => {
      for (const [index, line] of wrap(text, columns - 7).entries()) {
        print(`   ${index === 0 ? styled("green", "ok") : "  "}  ${line}`);
      }
    },
    quote: (...lines) => {
      for (const line of lines) {
        print(`       ${styled("dim", line.slice(0, columns - 7))}`);
      }
    },
    command: (text) => print(`       ${styled("cyan", text)}`),
    table: (rows) => {
      const widths = (rows[0] ?? []).map((_, column) =>
        Math.max(...rows.map((row) => (row[column] ?? "").length)),
      );
      for (const [index, row] of rows.entries()) {
        const line = row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("   ");
        print(`       ${index === 0 ? styled("bold", line.trimEnd()) : line.trimEnd()}`);
      }
    },
    failure: (text) => {
      print();
      print(styled(["bold", "red"], `FAILED: ${text}`));
    },
  };
};

const columns = 80;

/** At blanks; a word that is longer than a line gets one of its own. */
const wrap = (text: string, width: number): string[] => {
  const lines = [""];
  for (const word of text.split(" ")) {
    const line = lines[lines.length - 1] ?? "";
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(word);
    } else {
      lines[lines.length - 1] = line === "" ? word : `${line} ${word}`;
    }
  }
  return lines;
};
