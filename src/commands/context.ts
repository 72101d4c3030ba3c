import type { Control } from "../daemon/control.ts";

/** What a command gets of the world; only `main.ts` reads it from the process. */
export type Context = {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly stdout: Output;
  readonly stderr: Output;
  readonly control: Control;
  readonly version: string;
};

export type Output = {
  readonly write: (text: string) => void;
  /** Whether a person is looking, and may be shown colours. */
  readonly isTerminal: boolean;
  readonly hasColors: boolean;
};
