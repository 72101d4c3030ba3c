import { type Level, type Logger, type LoggerOptions, pino, stdTimeFunctions } from "pino";
import type { Secret } from "../secret.ts";
import type { CharonLine } from "./charon-line.ts";
import type { Finding } from "./diagnostician.ts";
import { createJsonScrubber, createScrubber } from "./scrub.ts";

export type Log = Logger;

export type LogOptions = {
  readonly level: Level | "silent";
  /** `json`: one object a line; `pretty`: for people. */
  readonly format: "json" | "pretty";
  /** Only for `pretty`. */
  readonly colour?: boolean;
  /** Gets whole lines, with their line feed. */
  readonly destination: { readonly write: (text: string) => void };
  /** What no line may show; asked again for every line, another array after a reload. */
  readonly secrets: () => readonly Secret[];
};

/**
 * A log whose lines hold `time` (RFC 3339, UTC), `level` as a word, fields and `message`. Lines are written at once,
 * in this thread, with every secret masked.
 */
export const createLog = async (options: LogOptions): Promise<Log> => {
  const { destination, secrets } = options;
  const scrubJson = createJsonScrubber(secrets);
  if (options.format === "json")
    return pino(loggerOptions(options), { write: (line) => destination.write(scrubJson(line)) });
  const prettify = await createPrettifier(options.colour ?? false);
  const scrubText = createScrubber(secrets);
  // Escaped secrets can be told before, the others after the escapes are gone.
  return pino(loggerOptions(options), {
    write: (line) => destination.write(scrubText(prettify(scrubJson(line)))),
  });
};

/** What to log of a line of charon, as arguments of `log[level](fields, message)`. The message is charon's own. */
export const charonRecord = (line: CharonLine, finding?: Finding): CharonRecord => ({
  level: finding?.severity ?? levelOf(line),
  fields: { ...originOf(line), ...(finding === undefined ? {} : findingFields(finding)) },
  message: line.message,
});

export type CharonRecord = {
  readonly level: "error" | "warn" | "info" | "debug" | "trace";
  readonly fields: Readonly<Record<string, unknown>>;
  readonly message: string;
};

const originOf = (line: CharonLine): Readonly<Record<string, unknown>> => {
  if (line.kind === "starter") return { program: "starter" };
  const { group, thread, connection, saId } = line;
  return {
    program: "charon",
    group,
    thread,
    ...(connection === undefined ? {} : { connection }),
    ...(saId === undefined ? {} : { saId }),
  };
};

const findingFields = ({ cause, variables, meaning, remedy, values, connection, peer }: Finding) => ({
  ...(connection === undefined ? {} : { connection }),
  ...(peer === undefined ? {} : { peer }),
  event: "diagnosis",
  cause,
  variables,
  meaning,
  hint: remedy,
  ...(Object.keys(values).length === 0 ? {} : { values }),
});

/** charon's levels 0 and 1 are its ordinary log; it has no levels for warnings and errors. */
const levelOf = (line: CharonLine): "info" | "debug" | "trace" => {
  if (line.kind === "starter" || line.level <= 1) return "info";
  return line.level === 2 ? "debug" : "trace";
};

const loggerOptions = ({ level }: LogOptions): LoggerOptions => ({
  level,
  base: null,
  messageKey: "message",
  timestamp: stdTimeFunctions.isoTime,
  formatters: { level: (label) => ({ level: label }) },
});

/** pino-pretty in this process: as a transport it would run in a worker thread, and not at all in a bundle. */
const createPrettifier = async (colour: boolean): Promise<(line: string) => string> => {
  const { default: pretty } = await import("pino-pretty");
  return pretty.prettyFactory({
    colorize: colour,
    messageKey: "message",
    translateTime: "SYS:HH:MM:ss.l",
    singleLine: true,
    ignore: "program,group,thread,connection,saId,peer,event,cause,variables,meaning,hint,values",
    messageFormat: prettyMessage,
  });
};

const prettyMessage = (record: Record<string, unknown>): string => {
  const { group, connection, peer, cause, variables, meaning, hint, values } = record;
  const origin = [group, connection ?? peer].filter((part) => part !== undefined).join(" ");
  const names = Array.isArray(variables) && variables.length > 0 ? ` (${variables.join(", ")})` : "";
  const lines = [
    `${origin === "" ? "" : `${origin}: `}${record.message}`,
    ...(cause === undefined ? [] : [`${cause}${names}: ${meaning}`]),
    ...Object.entries(values ?? {}).map(([name, value]) => `${name}: ${value}`),
    ...(hint === undefined ? [] : [`hint: ${hint}`]),
  ];
  return lines.map(printable).join("\n    ");
};

/** A peer's words must not move the cursor of a terminal. */
const printable = (text: string): string =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must go
  text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, "?");
