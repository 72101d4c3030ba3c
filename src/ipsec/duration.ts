import { invalid, quoted, type Result, valid } from "../failure.ts";

const secondsPerUnit = { s: 1, m: 60, h: 3600, d: 86_400 } as const;

/**
 * Reads a duration such as `90`, `90s`, `45m`, `1.5h` or `1d` into whole seconds.
 * The result must be whole because strongSwan takes no fractions (its `ipsec.conf` refuses `1.5h`).
 */
export const parseDuration = (
  text: string,
  range: { readonly minimumSeconds: number; readonly maximumSeconds: number },
): Result<number> => {
  const match = /^(\d{1,9}(?:\.\d{1,6})?)([smhd]?)$/.exec(text);
  if (match === null) {
    return invalid(
      `${quoted(text)} is not a duration`,
      "a number and s, m, h or d, for example 90s, 45m, 1.5h",
    );
  }
  const [, amount, unit] = match;
  const seconds = Number(amount) * secondsPerUnit[(unit || "s") as keyof typeof secondsPerUnit];
  if (!Number.isInteger(seconds)) {
    return invalid(
      `${quoted(text)} is ${seconds} seconds, which is not whole`,
      `for example ${Math.ceil(seconds)}s`,
    );
  }
  if (seconds < range.minimumSeconds || seconds > range.maximumSeconds) {
    return invalid(
      `${quoted(text)} is ${seconds} seconds, outside ${range.minimumSeconds} to ${range.maximumSeconds}`,
      `at least ${renderDuration(range.minimumSeconds)}, at most ${renderDuration(range.maximumSeconds)}`,
    );
  }
  return valid(seconds);
};

/** The shortest text for so many seconds: 3600 → `1h`, 150 → `150s`. */
export const renderDuration = (seconds: number): string => {
  for (const unit of ["h", "m"] as const) {
    if (seconds > 0 && seconds % secondsPerUnit[unit] === 0)
      return `${seconds / secondsPerUnit[unit]}${unit}`;
  }
  return `${seconds}s`;
};
