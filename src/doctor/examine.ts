import type { Backend } from "../backend/backend.ts";
import type { ConfigFile } from "../backend/config-file.ts";
import { runPaths } from "../daemon/paths.ts";
import type { Dataplane } from "../gateway/dataplane.ts";
import type { Gateway } from "../gateway/gateway.ts";
import { packetTable } from "../host/packet-table.ts";
import type { RunProgram } from "../host/run-program.ts";
import type { Address } from "../ipsec/address.ts";
import { networkOfHost, overlaps } from "../ipsec/network.ts";
import type { Settings } from "../settings/settings.ts";
import { checkClock } from "./check-clock.ts";
import { checkEnds, type EndsRequest, endsOfMounted, endsOfVariables } from "./check-ends.ts";
import { checkFiles } from "./check-files.ts";
import { checkGateway } from "./check-gateway.ts";
import { checkHostRoutes, checkVirtualInterfaces } from "./check-interfaces.ts";
import {
  checkCapabilities,
  checkIncludes,
  checkPorts,
  checkPrograms,
  checkSysctls,
} from "./check-machine.ts";
import { checkMtu, type MtuRequest } from "./check-mtu.ts";
import { checkForwarding, checkTranslation, type ProtectedTraffic } from "./check-protected-traffic.ts";
import type { CheckResult } from "./check-result.ts";
import { chooseSweep } from "./choose-sweep.ts";
import { type Link, listLinks } from "./list-links.ts";
import type { GatewayLook } from "./look-at-gateway.ts";
import { lookUpRoute } from "./look-up-route.ts";
import { type Pair, protectedPairs } from "./protected-traffic.ts";
import type { ReadRuleset } from "./read-ruleset.ts";
import { rekeyAll } from "./rekey.ts";

export type Subject = {
  /** Milliseconds since 1970. */
  readonly now: number;
  readonly runProgram: RunProgram;
  readonly searchPath: string | undefined;
  readonly backend: Backend;
  readonly dataplane: Dataplane;
  /** Absent when the environment is wrong. */
  readonly planned:
    | {
        readonly settings: Settings;
        readonly gateway: Gateway;
        readonly manual: boolean;
        readonly files: readonly ConfigFile[];
      }
    | undefined;
  /** What a gateway here told when it was asked first. */
  readonly look: GatewayLook;
  readonly rules: ReadRuleset;
  readonly rekey: boolean;
  readonly target: Address | undefined;
};

/** Makes every check that can be made with what is known, those that do not need each other at once. */
export const examine = async (subject: Subject): Promise<readonly CheckResult[]> => {
  const { planned, runProgram, backend, rules, look } = subject;
  const { status } = look;
  const links = await listLinks(runProgram);
  const pairs = protectedPairs(planned?.gateway, status);
  const manual = planned?.manual ?? false;
  const results = await Promise.all([
    checkCapabilities(),
    checkPrograms(subject.searchPath, backend.daemon),
    backend.daemon.loadsFiles && !manual ? checkIncludes() : [],
    checkSysctls(new Set(pairs.map(({ local }) => local.family))),
    checkClock(subject.now, runProgram),
    checkPorts(look.runs),
    checkEnds(endsFor(subject), rules.ruleset, links, runProgram),
    followTraffic(pairs, subject).then((traffic) => [
      ...checkTranslation(rules.ruleset, traffic, {
        isAsked: isExempt(planned?.gateway),
        isMade: look.runs,
      }),
      ...checkForwarding(rules.ruleset, traffic),
    ]),
    checkVirtualInterfaces(planned?.gateway.virtualInterfaces ?? [], runProgram),
    planned === undefined ? [] : checkHostRoutes(planned.gateway, look.runs, runProgram),
    planned === undefined || !look.runs ? [] : checkFiles(planned.files),
    look.status === undefined ? [look.trouble] : checkGateway(look.status),
    subject.rekey ? rekeyAll(runPaths.vici) : [],
  ]);
  // Not while others wait for the processor or for new keys: a late answer would count as a lost one.
  return [...results.flat(), ...(await measure(subject, pairs, links))];
};

/** Whether every tunnel has `IPSEC_NAT_EXEMPT`. */
const isExempt = ({ packetRules }: Pick<Gateway, "packetRules"> = { packetRules: [] }): boolean =>
  packetRules.length > 0 && packetRules.every(({ keepsSource }) => keepsSource);

/** None when the environment is wrong, or a gateway would have to tell them. */
const endsFor = ({ planned, dataplane, look }: Subject): readonly EndsRequest[] => {
  if (planned === undefined) return [];
  const requests = planned.settings.tunnels.flatMap((values) =>
    planned.manual ? endsOfMounted(values, look.status) : [endsOfVariables(values, look.status)],
  );
  // User-space ESP is always in UDP.
  return dataplane === "kernel" ? requests : requests.map((one) => ({ ...one, plainEsp: false }));
};

/** By which interface the packets of each pair leave. A default route says nothing of what a tunnel of everything takes. */
const followTraffic = async (
  pairs: readonly Pair[],
  { runProgram, dataplane }: Subject,
): Promise<readonly ProtectedTraffic[]> =>
  await Promise.all(
    pairs.slice(0, pairsFollowed).map(async ({ local, remote, virtual }) => {
      const byPolicy = virtual === undefined && dataplane === "kernel";
      if (virtual !== undefined) return { local, remote, device: virtual, byPolicy };
      const [address = ""] = remote.text.split("/");
      const route = remote.prefixLength === 0 ? undefined : await lookUpRoute(address, undefined, runProgram);
      return { local, remote, device: route?.ok ? route.device : undefined, byPolicy };
    }),
  );

/** Each takes a process; the rules that meet so many pairs meet the rest too. */
const pairsFollowed = 32;

const measure = async (
  subject: Subject,
  pairs: readonly Pair[],
  links: readonly Link[],
): Promise<readonly CheckResult[]> => {
  const { planned, runProgram, target, look } = subject;
  const peerAddress = planned?.gateway.virtualInterfaces.flatMap(({ addresses }) =>
    addresses.flatMap(({ peer }) => peer ?? []),
  )[0];
  const chosen = await chooseSweep(
    { status: look.status, target: target ?? peerAddress, pairs, links },
    runProgram,
  );
  if ("verdict" in chosen) return [chosen];
  const segment = segmentInForce(chosen, subject);
  return await checkMtu({ ...chosen, segment }, runProgram);
};

/** What the rules say of packets to the target, if they are there: nft may be missing, or the gateway may be another. */
const segmentInForce = (
  { family, target, virtual }: MtuRequest,
  { planned, rules, dataplane }: Subject,
): number | undefined => {
  const host = networkOfHost({ family, text: target });
  if (!rules.ruleset?.some(({ table }) => table === packetTable)) return undefined;
  const sizes = (planned?.gateway.packetRules ?? [])
    .filter(({ interfaceName }) => interfaceName === virtual?.name)
    .filter(({ remoteNetworks }) => remoteNetworks.some((remote) => overlaps(remote, host)))
    .flatMap(({ segments }) => segments?.[dataplane][family] ?? []);
  return sizes.length === 0 ? undefined : Math.min(...sizes);
};
