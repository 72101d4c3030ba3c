/** charon's debug groups (strongSwan `src/libstrongswan/utils/debug.c`, `debug_names`). */
export type CharonGroup = (typeof groups)[number];

/** How much charon was asked to say: 0 audit, 1 control, 2 more control, 3 raw data, 4 private keys. */
type CharonLevel = 0 | 1 | 2 | 3 | 4;

/** One line of the standard error that charon and starter share. */
export type CharonLine =
  | {
      readonly kind: "charon";
      /** charon's own thread number; 0 is the main thread. */
      readonly thread: number;
      readonly group: CharonGroup;
      readonly level: CharonLevel;
      /** Name of the connection; absent until charon has chosen one for the IKE SA. */
      readonly connection?: string;
      /** Unique id of the IKE SA; absent outside any IKE SA. */
      readonly saId?: number;
      /** Keeps its leading blanks: they align hex dumps. */
      readonly message: string;
    }
  | {
      /** starter's own words, and anything else without charon's prefix; may be empty (stroke ends with a blank line). */
      readonly kind: "starter";
      readonly message: string;
    };

const groups = [
  "DMN",
  "MGR",
  "IKE",
  "CHD",
  "JOB",
  "CFG",
  "KNL",
  "NET",
  "ASN",
  "ENC",
  "TNC",
  "IMC",
  "IMV",
  "PTS",
  "TLS",
  "APP",
  "ESP",
  "LIB",
] as const;

/**
 * Reads one line, without its line feed, of a `filelog` with `ike_name` and `log_level`. Never fails: what is not
 * charon's is `starter`. charon repeats its prefix on every line of a message of several lines, hex dumps included
 * (strongSwan `src/libcharon/bus/listeners/file_logger.c`), so each line stands alone. A line without a level was
 * written before the loggers exist, at level 0 or 1 (`dbg_stderr` in `src/charon/charon.c`).
 */
export const parseCharonLine = (text: string): CharonLine => {
  const match = withPrefix.exec(text) ?? afterOtherText.exec(text);
  if (match === null) return { kind: "starter", message: text };
  const [, thread, group, level, connection, saId, message] = match;
  return {
    kind: "charon",
    thread: Number(thread),
    group: group as CharonGroup,
    level: Number(level ?? 1) as CharonLevel,
    ...(connection === undefined ? {} : { connection }),
    ...(saId === undefined ? {} : { saId: Number(saId) }),
    message: message ?? "",
  };
};

// The name is cut at 127 bytes by charon, and may itself contain `|` or `>`.
const prefix = `(\\d{2,5})\\[(${groups.join("|")})([0-4])?\\] (?:<(?:(.{0,127}?)\\|)?(\\d+)> )?(.*)$`;
const withPrefix = new RegExp(`^${prefix}`, "s");

// starter writes its text and its line feed apart, so a line of charon can land between them; and a
// `time_format` of the user's own charon.conf stands in front.
const afterOtherText = new RegExp(`^[^[\\]]{1,120}?(?<!\\d)${prefix}`, "s");
