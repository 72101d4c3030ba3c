import { type CauseName, causes, type Scope, type Severity } from "./causes.ts";
import type { CharonGroup, CharonLine } from "./charon-line.ts";
import { type FailureMessage, failureMessages } from "./failure-messages.ts";

/** What one line says about a failure. */
export type Diagnosis = {
  readonly cause: CauseName;
  /** False for a consequence that several causes can have: it gives way to a precise diagnosis of the same attempt. */
  readonly precise: boolean;
  readonly scope: Scope;
  readonly severity: Severity;
  /** The variables to look at, likeliest first. */
  readonly variables: readonly string[];
  readonly meaning: string;
  readonly remedy: string;
  /**
   * What charon named: identities, addresses, both ends' proposals. Partly the words of the peer, who may not have
   * authenticated; at most 1,000 characters each.
   */
  readonly values: Readonly<Record<string, string>>;
};

/** Judges one line by itself. `createDiagnostician` knows more: what came before. */
export const diagnose = (line: CharonLine): Diagnosis | undefined => {
  const reading = readFailure(line);
  return reading === undefined || reading.tooEarly ? undefined : reading.diagnosis;
};

/** The row of the table that a line matches, and what it says. */
export type FailureReading = {
  readonly message: FailureMessage;
  readonly diagnosis: Diagnosis;
  /** A retransmission that does not count as a failure yet. */
  readonly tooEarly: boolean;
};

/** Every failure is logged at level 0 or 1, so the flood of the debug levels costs nothing here. */
export const readFailure = (line: CharonLine): FailureReading | undefined => {
  if (line.kind === "charon" && line.level > 1) return undefined;
  if (line.message.length > longestMessage) return undefined;
  for (const message of messagesOf(line.kind === "charon" ? line.group : "starter")) {
    const match = message.text.exec(line.message);
    if (match === null) continue;
    const values = match.groups ?? {};
    return {
      message,
      diagnosis: diagnosisOf(message, values),
      tooEarly: Number(values.retransmissions ?? 0) < (message.fromRetransmission ?? 0),
    };
  }
  return undefined;
};

/** A peer can name itself in 64 KiB, and so make a line that takes seconds to match; no honest message is as long. */
const longestMessage = 2048;

const messagesOf = (group: CharonGroup | "starter"): readonly FailureMessage[] => {
  const known = byGroup.get(group);
  if (known !== undefined) return known;
  const messages = failureMessages.filter(
    (message) => message.group === undefined || message.group === group,
  );
  byGroup.set(group, messages);
  return messages;
};

const byGroup = new Map<CharonGroup | "starter", readonly FailureMessage[]>();

/** A diagnosis in the words of a cause, or in the row's own where it has some. */
export const diagnosisOf = (
  message: Pick<FailureMessage, "cause" | "vague" | "severity" | "variables" | "meaning" | "remedy">,
  values: Readonly<Record<string, string | undefined>>,
): Diagnosis => {
  const cause = causes[message.cause];
  return {
    cause: message.cause,
    precise: message.vague !== true,
    scope: cause.scope,
    severity: message.severity ?? cause.severity,
    variables: message.variables ?? cause.variables,
    meaning: message.meaning ?? cause.meaning,
    remedy: message.remedy ?? cause.remedy,
    values: present(values),
  };
};

const present = (values: Readonly<Record<string, string | undefined>>): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(values).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, shortened(value)]],
    ),
  );

const shortened = (text: string): string => (text.length > 1000 ? `${text.slice(0, 999)}…` : text);
