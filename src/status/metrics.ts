import type { GatewayStatus } from "./status-schema.ts";

/**
 * The text format of Prometheus, version 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats). Series are named
 * by connection and CHILD SA, never by an SA's number, so that a renewal continues them.
 */
export const renderMetrics = (status: GatewayStatus): string => {
  const { connections, daemon, gateway } = status;
  const children = connections.flatMap(({ name, children: all }) =>
    all.map((child) => ({ child, labels: { connection: name, child: child.name } })),
  );
  const directions = children.flatMap(({ child: { traffic }, labels }) => [
    { labels: { ...labels, direction: "in" }, bytes: traffic.bytesIn, packets: traffic.packetsIn },
    { labels: { ...labels, direction: "out" }, bytes: traffic.bytesOut, packets: traffic.packetsOut },
  ]);
  const families: readonly Family[] = [
    {
      name: "build_info",
      type: "gauge",
      help: "Versions of the gateway and of its IKE daemon; always 1.",
      samples: [{ labels: { version: gateway.version, daemon_version: daemon.version ?? "" }, value: 1 }],
    },
    {
      name: "start_time_seconds",
      type: "gauge",
      help: "When the gateway started, in seconds since 1970.",
      samples: [{ labels: {}, value: seconds(gateway.startedAt) }],
    },
    {
      name: "daemon_up",
      type: "gauge",
      help: "Whether the IKE daemon runs and answers.",
      samples: [{ labels: {}, value: Number(daemon.state === "running") }],
    },
    {
      name: "daemon_restarts_total",
      type: "counter",
      help: "How often the IKE daemon was started again.",
      samples: [{ labels: {}, value: daemon.restarts }],
    },
    {
      name: "ready",
      type: "gauge",
      help: "Whether every connection is up, or waits for its first packet or its peer and has not failed.",
      samples: [{ labels: {}, value: Number(status.ready) }],
    },
    {
      name: "ike_sa_established",
      type: "gauge",
      help: "Whether the connection has an established IKE SA.",
      samples: connections.map(({ name, ikeSa }) => ({
        labels: { connection: name },
        value: Number(ikeSa?.establishedAt !== undefined),
      })),
    },
    {
      name: "ike_sa_rekeys_total",
      type: "counter",
      help: "How often an IKE SA got new keys.",
      samples: connections.map(({ name, rekeys }) => ({ labels: { connection: name }, value: rekeys })),
    },
    {
      name: "last_handshake_timestamp_seconds",
      type: "gauge",
      help: "When both ends last agreed on keys, in seconds since 1970.",
      samples: connections.flatMap(({ name, lastHandshakeAt }) =>
        lastHandshakeAt === undefined
          ? []
          : [{ labels: { connection: name }, value: seconds(lastHandshakeAt) }],
      ),
    },
    {
      name: "certificate_expiry_timestamp_seconds",
      type: "gauge",
      help: "When the first of these certificates expires, in seconds since 1970.",
      samples: connections.flatMap(({ name, certificates = [] }) =>
        [...Map.groupBy(certificates, ({ of }) => of)].map(([of, group]) => ({
          labels: { connection: name, of },
          value: Math.min(...group.map(({ expiresAt }) => seconds(expiresAt))),
        })),
      ),
    },
    {
      name: "child_sa_installed",
      type: "gauge",
      help: "Whether the tunnel is up: whether its CHILD SA is installed.",
      samples: children.map(({ child, labels }) => ({ labels, value: Number(child.state === "up") })),
    },
    {
      name: "child_sa_ups_total",
      type: "counter",
      help: "How often the tunnel came up.",
      samples: children.map(({ child, labels }) => ({ labels, value: child.ups })),
    },
    {
      name: "child_sa_rekeys_total",
      type: "counter",
      help: "How often the tunnel got new keys.",
      samples: children.map(({ child, labels }) => ({ labels, value: child.rekeys })),
    },
    {
      name: "child_sa_bytes_total",
      type: "counter",
      help: "Bytes of the protected packets.",
      samples: directions.map(({ labels, bytes }) => ({ labels, value: bytes })),
    },
    {
      name: "child_sa_packets_total",
      type: "counter",
      help: "Protected packets.",
      samples: directions.map(({ labels, packets }) => ({ labels, value: packets })),
    },
    {
      name: "failures_total",
      type: "counter",
      help: "How often a failure began, by its cause.",
      samples: status.failureCounts.map(({ cause, connection, count }) => ({
        labels: { cause, connection: connection ?? "" },
        value: count,
      })),
    },
    {
      name: "failure_active",
      type: "gauge",
      help: "1 for each failure that lasts.",
      samples: distinct(
        status.failures.map(({ cause, connection }) => ({
          labels: { cause, connection: connection ?? "" },
          value: 1,
        })),
      ),
    },
  ];
  return families.map(renderFamily).join("");
};

type Labels = Readonly<Record<string, string>>;

type Sample = { readonly labels: Labels; readonly value: number };

type Family = {
  /** Without the prefix. */
  readonly name: string;
  readonly type: "gauge" | "counter";
  readonly help: string;
  readonly samples: readonly Sample[];
};

const renderFamily = ({ name, type, help, samples }: Family): string => {
  const full = `vnf_ipsec_${name}`;
  const lines = samples.map(({ labels, value }) => `${full}${renderLabels(labels)} ${value}`);
  return [`# HELP ${full} ${help}`, `# TYPE ${full} ${type}`, ...lines, ""].join("\n");
};

const renderLabels = (labels: Labels): string => {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
};

const escaped = (value: string): string =>
  value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");

/** Peers without a connection share their labels, and a series may appear once only. */
const distinct = (samples: readonly Sample[]): readonly Sample[] => [
  ...new Map(samples.map((sample) => [renderLabels(sample.labels), sample])).values(),
];

const seconds = (time: string): number => Date.parse(time) / 1000;
