import type { GatewayStatus } from "../status/status-schema.ts";
import { type CheckName, type CheckResult, type CheckVerdict, result } from "./check-result.ts";

/** What a running gateway says of its daemon, its tunnels and everything that fails. */
export const checkGateway = (status: GatewayStatus): readonly CheckResult[] => [
  judgeDaemon(status),
  ...status.failures.map(judgeFailure),
  ...provenCredentials(status),
  ...status.connections.flatMap(judgeTunnels),
];

const judgeDaemon = ({ daemon, live, reasons }: GatewayStatus): CheckResult => {
  const version = daemon.version === undefined ? "the IKE daemon" : `strongSwan ${daemon.version}`;
  const restarts = daemon.restarts === 0 ? "" : `, started again ${daemon.restarts} times since it died`;
  const words = `${version} is ${daemon.state}${restarts}`;
  if (!live || daemon.state === "unresponsive") {
    return result("gateway", "failure", words, {
      hint: "the gateway's log tells the daemon's last words",
      details: { reasons },
    });
  }
  if (daemon.restarts > 0)
    return result("gateway", "warning", words, { hint: "look for charon-died in the gateway's log" });
  return result("gateway", "ok", words);
};

type FailureStatus = GatewayStatus["failures"][number];
type ConnectionStatus = GatewayStatus["connections"][number];

const judgeFailure = (failure: FailureStatus): CheckResult => {
  const { cause, connection, peer, meaning, remedy, variables, values, since } = failure;
  const subject = connection ?? peer;
  const about = subject === undefined ? "" : `${subject}: `;
  const said = Object.entries(values).map(([name, value]) => `${name} ${value}`);
  return result(
    nameOf(cause),
    verdictOf(failure),
    `${about}${cause}: ${meaning}${said.length === 0 ? "" : ` (${said.join("; ")})`}`,
    {
      hint: variables.length === 0 ? remedy : `${remedy}; look at ${variables.join(", ")}`,
      details: { cause, connection, peer, since, variables, values },
    },
  );
};

/** A stranger who fails at our port is no failure of ours, and charon mends some things by itself. */
const verdictOf = ({ severity, connection, peer }: FailureStatus): CheckVerdict => {
  if (severity === "info") return "ok";
  return severity === "error" && (connection !== undefined || peer === undefined) ? "failure" : "warning";
};

const nameOf = (cause: string): CheckName => (aboutCredentials.has(cause) ? "credentials" : "diagnosis");

const aboutCredentials: ReadonlySet<string> = new Set([
  "psk-mismatch",
  "psk-not-found",
  "identity-mismatch",
  "authentication-failed",
  "private-key-missing",
  "certificate-untrusted",
  "certificate-expired",
  "certificate-revoked",
  "certificate-status-unknown",
]);

/** An established IKE SA proves both identities and the key (RFC 7296 §2.15). */
const provenCredentials = ({ connections }: GatewayStatus): readonly CheckResult[] =>
  connections
    .filter(({ ikeSa }) => ikeSa?.establishedAt !== undefined)
    .map(({ name, local, remote }) =>
      result(
        "credentials",
        "ok",
        `${name}: ${local.identity} and ${remote.identity} have proven who they are`,
      ),
    );

const judgeTunnels = ({ children, remote }: ConnectionStatus): readonly CheckResult[] =>
  children.map((child) => {
    const subject = `${child.name} to ${remote.address}`;
    switch (child.state) {
      case "up":
        return judgeTraffic(subject, child.traffic);
      case "waiting-for-traffic":
        return result("tunnel", "ok", `${subject} waits for its first packet; it has not been tried yet`);
      case "waiting-for-peer":
        return result("tunnel", "ok", `${subject} waits for the peer to begin`);
      case "connecting":
        return result("tunnel", "warning", `${subject} is being negotiated`, {
          hint: "ask again in a moment",
        });
      case "not-loaded":
        return result("tunnel", "failure", `${subject} is not loaded into the daemon`, {
          hint: "look for not-loaded in the gateway's log, and at charon's lines before it",
        });
      case "down":
        return result("tunnel", "failure", `${subject} is down`, {
          hint: "the other results tell why; if they do not, the peer's log does",
        });
      default:
        return child.state satisfies never;
    }
  });

const judgeTraffic = (
  subject: string,
  { packetsIn, packetsOut }: ConnectionStatus["children"][number]["traffic"],
): CheckResult => {
  const counts = `${packetsOut} packets out, ${packetsIn} in`;
  if (packetsOut >= unansweredPackets && packetsIn === 0) {
    return result("tunnel", "warning", `${subject} is up, but nothing comes back: ${counts}`, {
      hint: "look at the peer: its firewall, its routes to IPSEC_LOCALNET, and whether ESP reaches it",
    });
  }
  return result("tunnel", "ok", `${subject} is up: ${counts}`);
};

/** Fewer may only be on their way. */
const unansweredPackets = 10;
