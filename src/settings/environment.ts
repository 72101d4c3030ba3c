/** One variable as it was given, before any check. */
export type Given = {
  readonly text: string;
  /** Where it comes from: `the environment`, or the path of a file. */
  readonly source: string;
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

/** A value without white space around it, and without a pair of quotes around all of it, which `docker --env-file` keeps. */
export const unwrapped = (given: string): { readonly text: string; readonly hadQuotes: boolean } => {
  const text = given.trim();
  const [, quote = "", inside = ""] = /^(["'])(.*)\1$/s.exec(text) ?? [];
  const hadQuotes = quote !== "" && !inside.includes(quote);
  return { text: hadQuotes ? inside : text, hadQuotes };
};
