import { setTimeout as sleep } from "node:timers/promises";
import type { GatewayStatus } from "../status/status-schema.ts";
import { connectVici, type ViciClient } from "../vici/client.ts";
import { type Message, textOf } from "../vici/message.ts";
import { readIkeSas, readRekeyedChildren } from "../vici/readings.ts";
import { requireSuccess, ViciError } from "../vici/vici-error.ts";
import { type CheckResult, result } from "./check-result.ts";
import { lookAtGateway } from "./look-at-gateway.ts";

/**
 * Has charon give each installed CHILD SA new keys now, which shows what would otherwise show at its first renewal:
 * the first CHILD SA of IKEv2 has no key exchange of its own, so a difference in it passes unnoticed (RFC 7296 §1.2).
 * Where that fails the old keys stay, and charon tries again by itself, as at any renewal.
 * Why it failed is for a gateway of ours to tell; where none runs, charon's own words must do.
 */
export const rekeyAll = async (socket: string): Promise<readonly CheckResult[]> => {
  try {
    const vici = await connectVici(socket, { timeoutMs: answerMilliseconds });
    try {
      return await rekeyInstalled(vici);
    } finally {
      vici.close();
    }
  } catch (error) {
    if (!(error instanceof ViciError)) throw error;
    return [result("rekey", "skipped", `charon cannot be asked for new keys: ${error.message}`)];
  }
};

type Installed = { readonly name: string; readonly uniqueId: string; readonly ikeUniqueId: string };

const rekeyInstalled = async (vici: ViciClient): Promise<readonly CheckResult[]> => {
  const installed = await listInstalled(vici);
  if (installed.length === 0)
    return [result("rekey", "skipped", "no CHILD SA is installed, so there are no keys to change")];
  const renewed = new Set<string>();
  const words = new Map<string, string[]>();
  await vici.subscribe("child-rekey", (message) => {
    for (const { before } of readRekeyedChildren(message)) renewed.add(before.uniqueId);
  });
  await vici.subscribe("log", (message) => noteWords(message, words));
  for (const { uniqueId } of installed)
    requireSuccess("rekey", await vici.request("rekey", { "child-id": uniqueId }));

  const isSettled = (): boolean =>
    [...new Set(installed.map(({ ikeUniqueId }) => ikeUniqueId))].every((ikeUniqueId) => {
      const pending = installed.filter(
        (one) => one.ikeUniqueId === ikeUniqueId && !renewed.has(one.uniqueId),
      );
      const failures = words.get(ikeUniqueId)?.filter((line) => failed.test(line)) ?? [];
      return failures.length >= pending.length;
    });
  const deadline = performance.now() + rekeyMilliseconds;
  while (!isSettled() && performance.now() < deadline) await sleep(pollMilliseconds);

  const isDone = installed.every(({ uniqueId }) => renewed.has(uniqueId));
  const { status } = isDone ? {} : await lookAtGateway();
  return installed.map((one) =>
    renewed.has(one.uniqueId)
      ? result("rekey", "ok", `${one.name} has new keys`)
      : tellFailure(one, words.get(one.ikeUniqueId) ?? [], status),
  );
};

const answerMilliseconds = 5_000;
const rekeyMilliseconds = 8_000;
const pollMilliseconds = 20;

/** IKEv2's child_rekey.c; what a peer says to an IKEv1 quick mode (tasks/quick_mode.c, informational.c). */
const failed = /^CHILD_SA rekeying failed|received \S+ error notify/;

const listInstalled = async (vici: ViciClient): Promise<readonly Installed[]> => {
  const installed: Installed[] = [];
  for await (const message of vici.stream("list-sas", "list-sa")) {
    for (const { uniqueId: ikeUniqueId, children } of readIkeSas(message)) {
      for (const { name, uniqueId, state } of children)
        if (state === "INSTALLED") installed.push({ name, uniqueId, ikeUniqueId });
    }
  }
  return installed;
};

/** charon's own log of an IKE SA, which no secret is in at the levels that go here (0 and 1). */
const noteWords = (message: Message, words: Map<string, string[]>): void => {
  const saId = textOf(message, "ikesa-uniqueid");
  const line = textOf(message, "msg");
  if (saId === undefined || line === undefined) return;
  const lines = words.get(saId) ?? [];
  if (lines.length < linesKept) words.set(saId, [...lines, line]);
};

const linesKept = 50;

const tellFailure = (
  { name }: Installed,
  lines: readonly string[],
  status: GatewayStatus | undefined,
): CheckResult => {
  const connection = status?.connections.find(({ children }) =>
    children.some((child) => child.name === name),
  );
  const failure = status?.failures.find(
    (one) => one.connection === connection?.name && one.severity !== "info",
  );
  const details = { child: name, daemon: lines };
  if (failure !== undefined) {
    const { cause, meaning, remedy, variables, values } = failure;
    return result("rekey", "failure", `${name} got no new keys: ${cause}: ${meaning}`, {
      hint: `${remedy}; look at ${variables.join(", ")}`,
      details: { ...details, cause, variables, values },
    });
  }
  const said = lines.find((line) => /NO_PROPOSAL_CHOSEN|INVALID_KE_PAYLOAD|no acceptable/.test(line));
  return said === undefined
    ? result("rekey", "warning", `${name} got no new keys within ${rekeyMilliseconds / 1000} s`, {
        hint: "the peer may be slow or silent; charon goes on trying, and the gateway's log tells",
        details,
      })
    : result("rekey", "failure", `${name} got no new keys: ${said}`, {
        hint: "end IPSEC_ESPCIPHER with the same group at both ends, or with none at both",
        details,
      });
};
