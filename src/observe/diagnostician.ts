import { type CauseName, causes } from "./causes.ts";
import { createCharonContext, type IkeSaContext, type Milestone } from "./charon-context.ts";
import type { CharonLine } from "./charon-line.ts";
import { type Diagnosis, readFailure } from "./diagnosis.ts";
import type { FailureMessage } from "./failure-messages.ts";
import { refineDiagnosis } from "./refine-diagnosis.ts";

/** A diagnosis and whom it concerns: a connection, else a peer's address, else the whole daemon. */
export type Finding = Diagnosis & {
  readonly connection?: string;
  /** Address of the peer, for what fails before charon has chosen a connection. */
  readonly peer?: string;
  readonly saId?: number;
};

export type Diagnostician = {
  /** A finding when the line begins a failure; `undefined` while the same failure lasts, and for every other line. */
  readonly observe: (line: CharonLine) => Finding | undefined;
  /** The failures that last: no success of their connection or peer, and no other cause, has followed. */
  readonly active: () => readonly Finding[];
};

/** Judges lines in their order, so that each failure appears once, and by its most precise cause. */
export const createDiagnostician = (): Diagnostician => {
  const context = createCharonContext();
  const subjects = new Map<string, Subject>();
  const pendings = new WeakMap<IkeSaContext, Pending>();
  /** Numbers of the IKE SAs that were established last, by connection; charon counts up. */
  const established = new Map<string, number>();

  const noteSuccess = (milestone: Milestone, line: CharonLine, sa: IkeSaContext | undefined): void => {
    if (milestone.kind === "daemon-started") established.clear();
    if (milestone.kind !== "ike-up" || line.kind !== "charon") return;
    if (sa?.connection !== undefined && line.saId !== undefined) established.set(sa.connection, line.saId);
  };

  /** What is still said of an attempt that began before the one that succeeded is no news. */
  const isOvertaken = (line: CharonLine, sa: IkeSaContext | undefined): boolean =>
    line.kind === "charon" &&
    line.saId !== undefined &&
    sa?.connection !== undefined &&
    !sa.established &&
    line.saId < (established.get(sa.connection) ?? 0);

  const settle = (milestone: Milestone, sa: IkeSaContext | undefined): void => {
    if (sa !== undefined) pendings.delete(sa);
    for (const key of keysOf(milestone, sa, subjects)) {
      const subject = subjects.get(key);
      if (subject === undefined) continue;
      if (milestone.kind === "attempt") subject.told = "nothing";
      else if (subject.finding === undefined || ends(milestone, subject.finding)) subjects.delete(key);
    }
  };

  /** Notes what can only be judged later, and says what can be judged now. */
  const judge = (line: CharonLine, sa: IkeSaContext | undefined): Finding | undefined => {
    const pending = (sa && pendings.get(sa)) ?? {};
    const ripe = pending.held?.filter(({ until }) => until.test(line.message)).map((one) => one.diagnosis);
    const held = ripe?.findLast(({ precise }) => precise) ?? ripe?.at(-1);
    if (sa !== undefined && held !== undefined) {
      pendings.delete(sa);
      return { ...held, ...whom(line, sa) };
    }
    const reading = readFailure(line);
    if (reading === undefined) return undefined;
    const { message, diagnosis } = reading;
    if (sa !== undefined && message.onlyBefore !== undefined) {
      const refined = refineDiagnosis(diagnosis, line, context);
      const one = refined && { diagnosis: refined, until: message.onlyBefore };
      if (one) pendings.set(sa, { ...pending, held: [...(pending.held ?? []), one] });
      return undefined;
    }
    const isRetransmission = message.fromRetransmission !== undefined;
    if (sa !== undefined && isRetransmission) pendings.set(sa, { ...pending, silence: diagnosis });
    if (reading.tooEarly) return undefined;
    // Which message stays unanswered says more than that charon gave up.
    const known =
      diagnosis.cause === "peer-silent" && !isRetransmission ? (pending.silence ?? diagnosis) : diagnosis;
    const refined = refineDiagnosis(known, line, context);
    return refined && { ...refined, ...concerned(refined, message, line, sa) };
  };

  const concerned = (
    { scope, values }: Diagnosis,
    message: FailureMessage,
    line: CharonLine,
    sa: IkeSaContext | undefined,
  ): Whom => {
    if (scope === "daemon") return {};
    if (values.connection !== undefined) return { connection: values.connection };
    if (sa !== undefined) return whom(line, sa);
    switch (message.concerns) {
      case "sender":
        return whom(line, context.lastSent()?.ikeSa ?? {});
      case "loaded":
        return optional({ connection: context.loading() });
      case undefined:
        return values.remoteAddress === undefined ? {} : { peer: values.remoteAddress };
      default:
        return message.concerns satisfies never;
    }
  };

  /** The finding, unless it is known already or only follows from what is known. */
  const admit = (finding: Finding): Finding | undefined => {
    if (finding.cause === "name-unresolvable" && isKnownName(finding, subjects)) return undefined;
    const key = keyOf(finding);
    const subject = subjects.get(key);
    if (isExplained(finding.cause, subjects)) {
      subjects.set(key, { ...subject, told: "precise" });
      return undefined;
    }
    if (!finding.precise && subject !== undefined && subject.told !== "nothing") return undefined;
    const told = finding.precise ? "precise" : "vague";
    if (subject?.finding !== undefined && isKnown(finding, subject.finding)) {
      subject.told = told;
      return undefined;
    }
    forgetOldPeers(subjects);
    subjects.set(key, { finding, told });
    return finding;
  };

  return {
    observe: (line) => {
      const milestone = context.note(line);
      const sa = context.ikeSa(line);
      if (milestone !== undefined) {
        noteSuccess(milestone, line, sa);
        settle(milestone, sa);
      }
      const finding = isOvertaken(line, sa) ? undefined : judge(line, sa);
      return finding && admit(finding);
    },
    active: () => [...subjects.values()].flatMap(({ finding }) => (finding === undefined ? [] : [finding])),
  };
};

/** What is wrong with a connection, a peer or the daemon. */
type Subject = {
  /** Absent while only another subject's failure explains this one's. */
  readonly finding?: Finding;
  /** What the present attempt has told. After a cause, vague ones are its consequences. */
  told: "nothing" | "vague" | "precise";
};

type Pending = {
  readonly held?: readonly { readonly diagnosis: Diagnosis; readonly until: RegExp }[];
  readonly silence?: Diagnosis;
};

type Whom = Pick<Finding, "connection" | "peer" | "saId">;

const whom = (line: CharonLine, sa: Pick<IkeSaContext, "connection" | "peer">): Whom =>
  optional({
    connection: sa.connection,
    peer: sa.peer,
    saId: line.kind === "charon" ? line.saId : undefined,
  });

const optional = (fields: { readonly [name in keyof Whom]?: Whom[name] | undefined }): Whom =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));

/** The same cause; or, in a further attempt, a vague one that blames the same variable first as a precise one. */
const isKnown = (finding: Finding, known: Finding): boolean =>
  finding.cause === known.cause ||
  (!finding.precise && known.precise && finding.variables[0] === known.variables[0]);

/** What charon mends by itself is kept apart: it must not displace a failure, nor return after each one. */
const keyOf = (finding: Finding): string => {
  const note = finding.severity === "info" ? `${finding.cause} ` : "";
  if (finding.connection !== undefined) return `${note}connection ${finding.connection}`;
  if (finding.cause === "name-unresolvable") return `name ${finding.values.name}`;
  if (finding.peer !== undefined) return `${note}peer ${finding.peer}`;
  return `daemon ${finding.cause}`;
};

const keysOf = (
  milestone: Milestone,
  sa: IkeSaContext | undefined,
  subjects: ReadonlyMap<string, Subject>,
): readonly string[] => {
  switch (milestone.kind) {
    case "starter-started":
    case "daemon-started":
      return [...subjects.keys()];
    case "configuration-read":
      return ["daemon configuration-invalid"];
    case "secrets-reread":
      return ["daemon secrets-unreadable"];
    case "loaded":
      return [`connection ${milestone.connection}`];
    case "peer-proven":
      return [];
    case "attempt":
    case "packet":
      return [`connection ${sa?.connection}`, `peer ${sa?.peer}`];
    case "ike-up":
    case "child-up": {
      const own = [`connection ${sa?.connection}`, `peer ${sa?.peer}`];
      const notes = own.map((key) => `key-exchange-retried ${key}`);
      // charon does not say which name it could resolve.
      return [...own, ...notes, ...[...subjects.keys()].filter((key) => key.startsWith("name "))];
    }
    default:
      return milestone satisfies never;
  }
};

const ends = (milestone: Milestone, { scope }: Finding): boolean => {
  switch (milestone.kind) {
    case "starter-started":
    case "configuration-read":
    case "secrets-reread":
    case "child-up":
      return true;
    case "daemon-started":
      return scope !== "loading";
    case "loaded":
      return scope === "loading";
    case "packet":
      return scope === "path";
    case "ike-up":
      return scope === "path" || scope === "ike";
    case "attempt":
    case "peer-proven":
      return false;
    default:
      return milestone satisfies never;
  }
};

const isExplained = (cause: CauseName, subjects: ReadonlyMap<string, Subject>): boolean =>
  subjects
    .values()
    .some(({ finding }) => finding !== undefined && causes[finding.cause].explains?.includes(cause) === true);

/** The resolver's own line comes first and names no connection; the line that does moves the finding there. */
const isKnownName = (finding: Finding, subjects: Map<string, Subject>): boolean => {
  const known = subjects
    .entries()
    .find(
      ([, subject]) =>
        subject.finding?.cause === "name-unresolvable" && subject.finding.values.name === finding.values.name,
    );
  if (known === undefined) return false;
  if (finding.connection !== undefined) {
    subjects.delete(known[0]);
    subjects.set(keyOf(finding), { finding, told: "precise" });
  }
  return true;
};

// Anyone on the network can fail at our port.
const peersKept = 256;

const forgetOldPeers = (subjects: Map<string, Subject>): void => {
  const peers = [...subjects.keys()].filter((key) => key.startsWith("peer "));
  for (const key of peers.slice(0, Math.max(0, peers.length - peersKept + 1))) subjects.delete(key);
};
