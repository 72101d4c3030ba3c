import { masked, type Secret } from "../secret.ts";

/**
 * Replaces secrets in text by `***`, in every form that a log could carry: as it is, JSON-escaped once or twice,
 * base64 and base64url, hex in either case. `secrets` is asked for every text, so that a reload takes effect at
 * once; it must return another array when the secrets are others.
 *
 * A secret under 6 bytes is looked for only in its encoded forms, and no form under 6 characters, encoded ones under
 * 8, is: masking `vpn` or `1234` wherever they occur would spoil the log and give the secret away by its gaps. What
 * is not recognised: hex dumps with blanks between the bytes, which charon prints of keys at level 4 only.
 */
export const createScrubber = (secrets: () => readonly Secret[]): ((text: string) => string) => {
  let known: readonly Secret[] | undefined;
  let index = indexForms([]);
  return (text) => {
    const current = secrets();
    if (current !== known) {
      known = current;
      index = indexForms(current);
    }
    return index.isEmpty ? text : scrub(text, index);
  };
};

/** The same for a line of JSON, which stays JSON even where a secret is made of digits or of JSON's own signs. */
export const createJsonScrubber = (secrets: () => readonly Secret[]): ((line: string) => string) => {
  const scrubText = createScrubber(secrets);
  const scrubValue = (value: unknown): unknown => {
    if (typeof value === "number") {
      const text = scrubText(String(value));
      return text === String(value) ? value : text;
    }
    if (typeof value === "string") return scrubText(value);
    if (Array.isArray(value)) return value.map(scrubValue);
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([name, field]) => [scrubText(name), scrubValue(field)]),
    );
  };
  return (line) => {
    const scrubbed = scrubText(line);
    if (scrubbed === line || isJson(scrubbed)) return scrubbed;
    const end = line.endsWith("\n") ? "\n" : "";
    return JSON.stringify(scrubValue(JSON.parse(line))) + end;
  };
};

const shortestPlain = 6;
const shortestEncoded = 8;

const formsOf = (secret: Secret): readonly string[] => {
  const bytes = Buffer.from(secret.reveal());
  const text = bytes.toString("utf8");
  const escaped = JSON.stringify(text).slice(1, -1);
  const base64 = bytes.toString("base64");
  const unpadded = base64.replace(/=+$/, "");
  const shortest = unpadded.length < shortestEncoded ? base64 : unpadded;
  const hex = bytes.toString("hex");
  const plain = [text, escaped, JSON.stringify(escaped).slice(1, -1)];
  const encoded = [shortest, shortest.replaceAll("+", "-").replaceAll("/", "_"), hex, hex.toUpperCase()];
  return [
    ...(bytes.length < shortestPlain ? [] : plain.filter((form) => form.length >= shortestPlain)),
    ...encoded.filter((form) => form.length >= shortestEncoded),
  ];
};

// Ten thousand connections have as many secrets, so forms are found by their first characters: a table of 16-bit
// sums of the first two keeps nearly every position of a text from being looked up.
type Index = {
  readonly isEmpty: boolean;
  readonly starts: Uint8Array;
  readonly byPrefix: ReadonlyMap<string, readonly string[]>;
};

const indexForms = (secrets: readonly Secret[]): Index => {
  const starts = new Uint8Array(0x10000);
  const byPrefix = new Map<string, string[]>();
  for (const form of new Set(secrets.flatMap(formsOf))) {
    starts[pairAt(form, 0)] = 1;
    const prefix = form.slice(0, shortestPlain);
    const forms = byPrefix.get(prefix);
    if (forms === undefined) byPrefix.set(prefix, [form]);
    else forms.push(form);
  }
  return { isEmpty: byPrefix.size === 0, starts, byPrefix };
};

const pairAt = (text: string, position: number): number =>
  (text.charCodeAt(position) * 257 + text.charCodeAt(position + 1)) & 0xffff;

const scrub = (text: string, { starts, byPrefix }: Index): string => {
  let result = "";
  let copied = 0;
  let start = 0;
  // Where forms overlap, the whole of both is masked.
  let end = 0;
  for (let position = 0; position + shortestPlain <= text.length; position += 1) {
    if (starts[pairAt(text, position)] === 0) continue;
    const forms = byPrefix.get(text.slice(position, position + shortestPlain));
    if (forms === undefined) continue;
    for (const form of forms) {
      if (!text.startsWith(form, position)) continue;
      if (position >= end) {
        if (end > 0) result += text.slice(copied, start) + masked;
        copied = end;
        start = position;
      }
      end = Math.max(end, position + form.length);
    }
  }
  return end === 0 ? text : result + text.slice(copied, start) + masked + text.slice(end);
};

const isJson = (text: string): boolean => {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
};
