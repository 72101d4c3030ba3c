/**
 * Text that never prints: `toString`, `toJSON` and inspection give `***`.
 * `reveal` is called by the code that writes secrets to their file, and by the scrubber of logs.
 */
export type Secret = {
  readonly reveal: () => Uint8Array;
  readonly toString: () => string;
  readonly toJSON: () => string;
};

export const masked = "***";

export const secret = (bytes: Uint8Array): Secret => ({
  reveal: () => bytes,
  toString: () => masked,
  toJSON: () => masked,
});
