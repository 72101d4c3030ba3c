import { type Place, placeText, quoted } from "../failure.ts";

/** One variable as it was given, before any check. */
export type Given = {
  readonly text: string;
  /** Where it comes from: `the environment`, or the path of a file. */
  readonly source: string;
  /** Where, if that is a file of connections. */
  readonly place?: Place;
  /** The variable, where it is one connection's own, such as `IPSEC_BERLIN_PSK`. */
  readonly name?: string;
  /** The exact content when it came from a secret's own file; `text` is then unused. */
  readonly bytes?: Uint8Array;
  /** Its own file could not be read, which has been reported. */
  readonly isUnreadable?: true;
};

/**
 * Everything that was given, by variable. Precedence has been applied (ENVFILE over the process environment),
 * and the secrets' files have been read.
 */
export type Environment = ReadonlyMap<string, Given>;

/** One connection of a file, with everything that it is given: the environment's and the file's defaults included. */
export type ConnectionEnvironment = {
  readonly name: string;
  readonly place: Place;
  readonly environment: Environment;
};

/** What names it, for people: where it stands, or its variable. */
export const labelOf = (given: Given | undefined, variable: string): string =>
  given?.place === undefined ? (given?.name ?? nameOf(given, variable)) : placeText(given.place);

/** Its variable, with the file where the value came from one. */
export const nameOf = (given: Given | undefined, variable: string): string =>
  given?.bytes === undefined ? variable : `${variable}_FILE=${quoted(given.source)}`;

/** A value without white space around it, and without a pair of quotes around all of it, which `docker --env-file` keeps. */
export const unwrapped = (given: string): { readonly text: string; readonly hadQuotes: boolean } => {
  const text = given.trim();
  const [, quote = "", inside = ""] = /^(["'])(.*)\1$/s.exec(text) ?? [];
  const hadQuotes = quote !== "" && !inside.includes(quote);
  return { text: hadQuotes ? inside : text, hadQuotes };
};
