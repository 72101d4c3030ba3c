/** A change of the host, as data: the command that makes it, and the one that takes it back. */
export type Step = {
  /** What it is for, to follow "cannot". */
  readonly why: string;
  readonly argv: Argv;
  /** What the command reads, whole lines. */
  readonly input?: string;
  readonly undo?: Argv;
  /** Its failure is a warning: a later step shows whether it mattered. */
  readonly optional?: true;
};

export type Argv = readonly [string, ...string[]];

/** A step as a person could paste it into a shell, with what it reads. */
export const pasteableStep = ({ argv, input }: Pick<Step, "argv" | "input">): string =>
  input === undefined ? pasteable(argv) : `${pasteable(argv)} <<'END'\n${input}END`;

export const pasteable = (argv: Argv): string =>
  argv.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`)).join(" ");
