import { styleText } from "node:util";
import { stateWords } from "./build-status.ts";
import type { GatewayStatus, TunnelState } from "./status-schema.ts";

export type TableOptions = { readonly now: number; readonly hasColors: boolean };

/** The status for people, in lines of at most 80 columns where the values allow it. */
export const renderStatus = (status: GatewayStatus, { now, hasColors }: TableOptions): string => {
  const colour: Colour = (text, format) =>
    hasColors ? styleText(format, text, { validateStream: false }) : text;
  const { gateway, daemon } = status;
  const charon = daemon.version === undefined ? "IKE daemon" : `strongSwan ${daemon.version}`;
  const restarts = daemon.restarts === 0 ? "" : `, started again ${times(daemon.restarts)}`;
  const head = [
    `vnf-ipsec ${gateway.version}, up ${span(now, gateway.startedAt)}; ESP in ${placeOf[gateway.dataplane]}`,
    `${charon} ${daemon.state} for ${span(now, daemon.since)}${restarts}`,
    status.ready ? colour("ready", "green") : colour("not ready", "red"),
    ...status.reasons.flatMap((reason) => wrappedText("", reason)),
  ];
  const blocks = [
    head,
    ...status.connections.map((connection) => connectionLines(connection, now, colour)),
    ...status.failures.map((failure) => failureLines(failure, now, colour)),
  ];
  return `${blocks.map((lines) => lines.join("\n")).join("\n\n")}\n`;
};

type Colour = (text: string, format: "red" | "yellow" | "green" | "dim") => string;

const placeOf = { kernel: "the kernel", userspace: "user space" } as const;

type ConnectionStatus = GatewayStatus["connections"][number];
type ChildStatus = ConnectionStatus["children"][number];

const connectionLines = (connection: ConnectionStatus, now: number, colour: Colour): readonly string[] => {
  const { name, local, remote, ikeSa, lastHandshakeAt } = connection;
  const handshake = lastHandshakeAt === undefined ? [] : [`last handshake ${span(now, lastHandshakeAt)} ago`];
  const ike =
    ikeSa?.establishedAt === undefined
      ? handshake
      : [
          `IKEv${ikeSa.version} ${ikeSa.initiator ? "as initiator" : "as responder"}`,
          algorithmsText(ikeSa.algorithms),
          ...renewal(ikeSa, now),
          ...handshake,
        ];
  return [
    `${name}  ${colour(stateWords[connection.state], colourOf[connection.state])}`,
    row("ends", `${endText(local)} - ${endText(remote)}`),
    ...identityLines(connection),
    ...(ike.length === 0 ? [] : wrapped("ike", ike)),
    ...connection.children.flatMap((child) => childLines(child, connection, now, colour)),
  ];
};

const childLines = (
  child: ChildStatus,
  connection: ConnectionStatus,
  now: number,
  colour: Colour,
): readonly string[] => {
  const { sa, traffic } = child;
  const since = child.since === undefined ? "" : ` for ${span(now, child.since)}`;
  const via = child.interface === undefined ? "" : `, over ${child.interface}`;
  const several = connection.children.length > 1 || child.name !== connection.name;
  const carried = traffic.packetsIn + traffic.packetsOut > 0;
  return [
    row(
      several ? child.name : "tunnel",
      `${colour(stateWords[child.state], colourOf[child.state])}${since}${via}`,
    ),
    ...wrapped("from", child.localNetworks),
    ...wrapped("to", child.remoteNetworks),
    ...(carried || sa !== undefined
      ? [
          row("in", amount(traffic.bytesIn, traffic.packetsIn, sa?.lastPacketInAt, now)),
          row("out", amount(traffic.bytesOut, traffic.packetsOut, sa?.lastPacketOutAt, now)),
        ]
      : []),
    ...(sa === undefined
      ? []
      : wrapped("esp", [
          algorithmsText(sa.algorithms),
          ...(sa.inUdp ? ["in UDP"] : []),
          ...(sa.rekeyAt === undefined ? [] : [`new keys in ${span(Date.parse(sa.rekeyAt), now)}`]),
        ])),
  ];
};

const renewal = (
  { rekeyAt, reauthenticateAt }: NonNullable<ConnectionStatus["ikeSa"]>,
  now: number,
): readonly string[] => [
  ...(rekeyAt === undefined ? [] : [`new keys in ${span(Date.parse(rekeyAt), now)}`]),
  ...(reauthenticateAt === undefined
    ? []
    : [`authenticates again in ${span(Date.parse(reauthenticateAt), now)}`]),
];

const failureLines = (
  failure: GatewayStatus["failures"][number],
  now: number,
  colour: Colour,
): readonly string[] => {
  const subject = failure.connection ?? failure.peer;
  const about = subject === undefined ? "" : `${subject}: `;
  return [
    `${about}${colour(failure.cause, failure.severity === "info" ? "yellow" : "red")}, since ${span(now, failure.since)}`,
    ...wrappedText("", failure.meaning),
    ...(failure.variables.length === 0 ? [] : wrapped("look at", failure.variables)),
    ...Object.entries(failure.values).flatMap(([name, value]) => wrappedText(wordOf(name), printable(value))),
    ...wrappedText("remedy", failure.remedy),
  ];
};

const colourOf = {
  up: "green",
  connecting: "yellow",
  "waiting-for-traffic": "green",
  "waiting-for-peer": "green",
  down: "red",
  "not-loaded": "red",
} as const satisfies Record<TunnelState, string>;

const labelWidth = 15;
const width = 80;

const row = (label: string, text: string): string => `  ${label.padEnd(labelWidth - 1)} ${text}`;

/** Items with commas between, and line breaks after some of those. */
const wrapped = (label: string, items: readonly string[]): readonly string[] =>
  fill(
    label,
    items.map((item, index) => (index === items.length - 1 ? item : `${item},`)),
  );

const wrappedText = (label: string, text: string): readonly string[] =>
  fill(label, text.split(" ").flatMap(piecesOf));

/** A word that is longer than a line, as a proposal can be, in pieces that end with a `/` where they can. */
const piecesOf = (word: string): readonly string[] => {
  const room = width - 2 - labelWidth;
  return word.length <= room
    ? [word]
    : (word.match(new RegExp(`.{1,${room - 1}}(?:/|$)|.{1,${room}}`, "g")) ?? []);
};

const fill = (label: string, words: readonly string[]): readonly string[] => {
  const lines: string[] = [];
  for (const word of words) {
    const last = lines.at(-1);
    if (last === undefined || 2 + labelWidth + last.length + 1 + word.length > width) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines.map((line, index) => row(index === 0 ? label : "", line));
};

const endText = ({ address, port, behindNat }: ConnectionStatus["local"]): string => {
  const host = address.includes(":") && port !== undefined ? `[${address}]` : address;
  return `${host}${port === undefined ? "" : `:${port}`}${behindNat ? " (NAT, or UDP forced)" : ""}`;
};

/** Only where they say more than the addresses. */
const identityLines = ({ local, remote }: ConnectionStatus): readonly string[] => {
  const isPlain = ({ identity, address }: ConnectionStatus["local"]): boolean =>
    identity === undefined || identity === address;
  if (isPlain(local) && isPlain(remote)) return [];
  return [row("identities", printable(`${local.identity ?? "%any"} - ${remote.identity ?? "%any"}`))];
};

const algorithmsText = ({
  encryption,
  encryptionKeyLength,
  integrity,
  prf,
  keyExchange,
}: NonNullable<ChildStatus["sa"]>["algorithms"]): string =>
  [
    encryption === undefined || encryptionKeyLength === undefined
      ? encryption
      : `${encryption}-${encryptionKeyLength}`,
    integrity,
    prf,
    keyExchange,
  ]
    .filter((part) => part !== undefined)
    .join("/");

const amount = (bytes: number, packets: number, lastAt: string | undefined, now: number): string => {
  const last = lastAt === undefined ? "" : `, last ${span(now, lastAt)} ago`;
  return `${bytesText(bytes)} in ${packets} ${packets === 1 ? "packet" : "packets"}${last}`;
};

const bytesText = (bytes: number): string => {
  if (bytes < 1024) return `${bytes} B`;
  const power = Math.min(4, Math.floor(Math.log2(bytes) / 10));
  return `${(bytes / 1024 ** power).toFixed(1)} ${["B", "KiB", "MiB", "GiB", "TiB"][power]}`;
};

/** The time between, in its two largest units. */
const span = (later: number, earlier: string | number): string => {
  const total = Math.max(
    0,
    Math.round((later - (typeof earlier === "string" ? Date.parse(earlier) : earlier)) / 1000),
  );
  const parts = [
    [Math.floor(total / 86_400), "d"],
    [Math.floor(total / 3600) % 24, "h"],
    [Math.floor(total / 60) % 60, "min"],
    [total % 60, "s"],
  ] as const;
  const first = parts.findIndex(([count]) => count > 0);
  if (first === -1) return "0 s";
  return parts
    .slice(first, first + 2)
    .filter(([count]) => count > 0)
    .map(([count, unit]) => `${count} ${unit}`)
    .join(" ");
};

const times = (count: number): string => (count === 1 ? "once" : `${count} times`);

/** `remoteAddress` becomes `remote address`. */
const wordOf = (name: string): string => name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);

/** A peer's words must not move the cursor of a terminal. */
const printable = (text: string): string => text.replace(/\p{Cc}/gu, "?");
