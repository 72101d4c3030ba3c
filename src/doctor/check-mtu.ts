import type { RunProgram } from "../host/run-program.ts";
import type { AddressFamily } from "../ipsec/address.ts";
import { segmentsIn } from "../ipsec/tunnel-overhead.ts";
import { type CheckResult, result } from "./check-result.ts";
import { type ProbeAnswer, type Sweep, sweepMtu } from "./sweep-mtu.ts";

export type MtuRequest = {
  readonly family: AddressFamily;
  /** Beyond the tunnel, and answering pings. */
  readonly target: string;
  /** An address of ours whose packets to the target the tunnel takes; absent where the interface has the right one. */
  readonly source?: string;
  /** MTU of the interface by which they leave. */
  readonly highest: number;
  /** The virtual interface, where they leave by one of ours. */
  readonly virtual?: { readonly name: string; readonly mtu: number };
  /** The largest TCP segment that the gateway lets hosts agree on; absent where it leaves them to themselves. */
  readonly segment?: number | undefined;
};

/** Sends pings that may not be fragmented through the tunnel, and says what IPSEC_MTU or IPSEC_MSS they suggest. */
export const checkMtu = async (
  request: MtuRequest,
  runProgram: RunProgram,
): Promise<readonly CheckResult[]> => {
  const deadline = performance.now() + sweepMilliseconds;
  let trouble: string | undefined;
  const probe = async (size: number): Promise<ProbeAnswer> => {
    const { exitCode, stdout, stderr } = await runProgram(pingArgv(size, request));
    if (exitCode !== 0 && /not installed|ENOENT|unrecognized option|invalid option|usage:/i.test(stderr))
      trouble ??= "the ping that is installed cannot forbid fragmentation";
    return readAnswer(exitCode, `${stdout}\n${stderr}`);
  };
  const sweep = await sweepMtu(probe, {
    lowest: Math.min(smallest[request.family], request.highest),
    highest: request.highest,
    isLate: () => performance.now() > deadline,
  });
  if (trouble !== undefined)
    return [
      result("mtu", "skipped", trouble, {
        hint: "install the ping of iputils: iputils-ping, or iputils on Alpine",
      }),
    ];
  return [judgeSweep(sweep, request)];
};

/** What a result of the sweep means for who sends through the tunnel. */
export const judgeSweep = (
  { largest, beyond, probes, complete }: Sweep,
  { family, target, highest, virtual, segment }: MtuRequest,
): CheckResult => {
  if (largest === undefined) {
    return result("mtu", "warning", `${target} answers no ping through the tunnel, not even a small one`, {
      hint: "choose another with --target; if none answers, look at the peer's firewall and routes",
    });
  }
  const mss = segmentsIn(largest)[family];
  const details = {
    target,
    largestPacket: largest,
    mss,
    ...(segment === undefined ? {} : { segment }),
    probes,
    complete,
    ...(beyond === undefined ? {} : { beyond }),
  };
  const words = `the largest packet that passes the tunnel to ${target} has ${complete ? "" : "at least "}${largest} bytes`;
  if (virtual !== undefined && largest < virtual.mtu) {
    return result("mtu", "warning", `${words}, but ${virtual.name} has an MTU of ${virtual.mtu}`, {
      hint: `set IPSEC_MTU=${largest}; with IPSEC_MSS=auto TCP follows it`,
      details,
    });
  }
  if (beyond === "lost") {
    const vanish = `${words}; larger ones vanish without a word`;
    if (segment !== undefined && segment <= mss) {
      return result("mtu", "ok", `${vanish}, but the segments of TCP, which have ${segment} at most`, {
        details,
      });
    }
    return result("mtu", "warning", `${vanish}, so big transfers hang`, {
      hint: `set IPSEC_MSS=${segmentsIn(largest).ipv4} for TCP; what else is sent needs hosts with an MTU of ${largest}`,
      details,
    });
  }
  const limit =
    largest === highest ? "as much as its interface takes" : "and senders of larger ones are told";
  return result("mtu", "ok", `${words}, ${limit}; TCP's MSS is ${mss}`, { details });
};

/** Every host must take so much (RFC 791 §3.1, RFC 8200 §5). */
const smallest = { ipv4: 576, ipv6: 1280 } as const;

const sweepMilliseconds = 20_000;

/** One answer within a second is enough; until then five are sent, since one may be lost by chance (ping(8), -c with -w). */
const pingArgv = (size: number, { family, target, source }: MtuRequest): readonly [string, ...string[]] => [
  ...(["ping", "-n", "-c", "1", "-i", "0.2", "-w", "1", "-M", "do"] as const),
  ...["-s", String(size - (family === "ipv4" ? 28 : 48))],
  ...(source === undefined ? [] : ["-I", source]),
  target,
];

/** As iputils words it: `message too long, mtu=1400`, `Frag needed and DF set (mtu = 1300)`, `Packet too big: mtu=1300`. */
const readAnswer = (exitCode: number, output: string): ProbeAnswer => {
  if (exitCode === 0) return { kind: "answered" };
  if (!/message too long|frag(?:mentation)? needed|packet too big/i.test(output)) return { kind: "lost" };
  const mtu = Number(/mtu ?= ?(\d+)/.exec(output)?.[1] ?? 0);
  return mtu > 0 ? { kind: "refused", mtu } : { kind: "refused" };
};
