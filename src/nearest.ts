/**
 * The candidate that a mistyped word most likely means, the first of equals; undefined when none is near.
 * Near is a quarter of the word's length in edits, at least one.
 */
export const nearest = (word: string, candidates: Iterable<string>): string | undefined => {
  // Nothing so long is a slip of the finger, and the distance takes quadratic time.
  if (word.length > 64) return undefined;
  let allowed = Math.max(1, Math.floor(word.length / 4));
  let found: string | undefined;
  for (const candidate of candidates) {
    if (Math.abs(candidate.length - word.length) > allowed) continue;
    const edits = distance(word, candidate, allowed);
    if (edits > allowed) continue;
    found = candidate;
    allowed = edits - 1;
  }
  return found;
};

/**
 * Damerau-Levenshtein distance, restricted (optimal string alignment): insertions, deletions, substitutions
 * and transpositions of neighbours, none inside a transposed pair. Infinite when it is more than allowed.
 */
const distance = (one: string, other: string, allowed: number): number => {
  let beforeLast: readonly number[] = [];
  let last: readonly number[] = Array.from({ length: other.length + 1 }, (_, column) => column);
  let leastOfLast = 0;
  for (let row = 1; row <= one.length; row++) {
    const current = [row];
    let least = row;
    for (let column = 1; column <= other.length; column++) {
      const same = one[row - 1] === other[column - 1];
      let edits = Math.min(
        at(last, column) + 1,
        at(current, column - 1) + 1,
        at(last, column - 1) + (same ? 0 : 1),
      );
      if (row > 1 && column > 1 && one[row - 1] === other[column - 2] && one[row - 2] === other[column - 1]) {
        edits = Math.min(edits, at(beforeLast, column - 2) + 1);
      }
      current.push(edits);
      least = Math.min(least, edits);
    }
    // A row follows from the two before it, and nothing gets less on the way.
    if (least > allowed && leastOfLast > allowed) return Number.POSITIVE_INFINITY;
    beforeLast = last;
    last = current;
    leastOfLast = least;
  }
  return at(last, other.length);
};

const at = (row: readonly number[], column: number): number => row[column] ?? Number.POSITIVE_INFINITY;
