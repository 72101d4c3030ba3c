/** One variable as it was given, before any check. */
export type Given = {
  readonly text: string;
  /** Where it comes from: `the environment`, or the path of a file. */
  readonly source: string;
  /** The exact content when it came from a secret's own file; `text` is then unused. */
  readonly bytes?: Uint8Array;
};

/**
 * Everything that was given, by variable. Precedence has been applied (ENVFILE over the process environment),
 * and the secrets' files have been read.
 */
export type Environment = ReadonlyMap<string, Given>;
