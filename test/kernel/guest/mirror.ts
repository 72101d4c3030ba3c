import type { TestContext } from "node:test";
import type { Outcome } from "./protocol.ts";

/** Shows the guest's tests as subtests of one on the host, open for as long as they run over there. */
export type Mirror = {
  began(id: number, parent: number, title: string): void;
  ended(id: number, outcome: Outcome): void;
  /** Fails what is still open for this reason; resolves when every subtest is closed. */
  close(reason: string): Promise<void>;
};

export const mirrorTests = (context: TestContext): Mirror => {
  const top = { ...newNode(), context: Promise.resolve(context) };
  const nodes = new Map<number, Node>([[0, top]]);
  return {
    began: (id, parent, title) => {
      const node = newNode();
      nodes.set(id, node);
      const above = nodes.get(parent) ?? top;
      above.children.push(above.context.then((test) => openSubtest(test, title, node)));
    },
    ended: (id, outcome) => nodes.get(id)?.settle(outcome),
    close: async (reason) => {
      for (const node of nodes.values()) node.settle({ kind: "failed", report: reason });
      await Promise.all(top.children);
    },
  };
};

type Node = {
  readonly context: Promise<TestContext>;
  readonly opened: (context: TestContext) => void;
  readonly outcome: Promise<Outcome>;
  /** Only the first call counts. */
  readonly settle: (outcome: Outcome) => void;
  readonly children: Promise<void>[];
};

const newNode = (): Node => {
  const { promise: context, resolve: opened } = Promise.withResolvers<TestContext>();
  const { promise: outcome, resolve: settle } = Promise.withResolvers<Outcome>();
  return { context, opened, outcome, settle, children: [] };
};

/** Concurrent, because the guest decides what runs beside what. */
const openSubtest = (above: TestContext, title: string, node: Node): Promise<void> =>
  above.test(title, { concurrency: true }, async (context) => {
    node.opened(context);
    const outcome = await node.outcome;
    await Promise.all(node.children);
    switch (outcome.kind) {
      case "passed":
        return;
      case "skipped":
        return context.skip(outcome.reason);
      case "failed":
        throw guestFailure(outcome.report);
      default:
        return outcome satisfies never;
    }
  });

/** The stack of this side would mislead: the report has the guest's. */
export const guestFailure = (report: string): Error => {
  const failure = new Error(report);
  failure.stack = report;
  return failure;
};
