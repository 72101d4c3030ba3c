import type { Connection } from "../../gateway/gateway.ts";
import { type Backend, type ConnectionOptions, type DaemonRequest, renderPsk } from "../backend.ts";
import { type ConfigFile, marker } from "../config-file.ts";
import { secretOwners } from "../secret-owners.ts";
import { swanctlConnection } from "./connection.ts";
import { credentialFiles, loadCredentials } from "./credentials.ts";

const connectionFiles = (connection: Connection, options: ConnectionOptions): readonly ConfigFile[] => [
  {
    path: `/etc/swanctl/conf.d/${connection.name}.conf`,
    mode: 0o600,
    connection: connection.name,
    // charon never reads it: it is told by vici, and the file is for swanctl and people.
    ownedByDaemon: false,
    text: options.templates["swanctl/connection.conf"]({
      marker,
      name: connection.name,
      connection: swanctlConnection(connection, "file"),
      ...(connection.authentication.method === "psk"
        ? { owners: secretOwners(connection), psk: renderPsk(connection.authentication.psk, options) }
        : {}),
    }),
  },
  ...credentialFiles(connection, options),
];

/** As swanctl names the secret of a section `ike-<name>` (strongSwan src/swanctl/commands/load_creds.c, load_secret). */
const keyId = ({ name }: Connection): string => `ike-${name}`;

/** No connection of ours has an underscore in its name. */
const probeName = "vnf_ipsec_probe";

/** Each is taken back as soon as it is taken, so what is refused leaves nothing behind; and nothing is started. */
const probe = (connection: Connection): readonly DaemonRequest[] => {
  const { children, ...peer } = swanctlConnection(connection, "bytes");
  const idle = Object.entries(children).map(([name, child]) => [name, { ...child, start_action: "none" }]);
  return [
    ...probeCredentials(connection),
    {
      kind: "vici",
      command: "load-conn",
      message: { [probeName]: { ...peer, children: Object.fromEntries(idle) } },
    },
    { kind: "vici", command: "unload-conn", message: { name: probeName } },
  ];
};

/** What other connections may have too cannot be taken back, and does them no harm. */
const probeCredentials = (connection: Connection): readonly DaemonRequest[] =>
  connection.authentication.method === "psk"
    ? [
        ...loadSharedKey(connection, probeName),
        { kind: "vici", command: "unload-shared", message: { id: probeName } },
      ]
    : loadCredentials(connection);

const loadSharedKey = (connection: Connection, id: string): readonly DaemonRequest[] =>
  connection.authentication.method === "psk"
    ? [
        {
          kind: "vici",
          command: "load-shared",
          message: {
            id,
            type: "IKE",
            data: connection.authentication.psk.reveal(),
            owners: secretOwners(connection),
          },
        },
      ]
    : [];

/** swanctl.conf(5), which is loaded over vici: charon is told the same as `swanctl --load-all` would tell it. */
export const swanctl: Backend = {
  name: "swanctl",
  directories: ["/etc/swanctl/conf.d", "/etc/swanctl/x509", "/etc/swanctl/x509ca", "/etc/swanctl/private"],
  connectionFiles,
  daemon: {
    command: ["charon"],
    program: "charon",
    hint: "install strongSwan's charon: strongswan-charon on Debian, strongswan on Alpine",
    version: ["charon", "--version"],
    loadsFiles: false,
  },
  usesStroke: false,
  probe: (connections) => connections.flatMap(probe),
  // The keys first, since a connection may be initiated as soon as it is loaded.
  load: (connections) => [
    ...connections.flatMap((connection) => [
      ...loadSharedKey(connection, keyId(connection)),
      ...loadCredentials(connection),
    ]),
    {
      kind: "vici",
      // It takes every connection in the message, until one is wrong (strongSwan vici_config.c, load_conn).
      command: "load-conn",
      message: Object.fromEntries(connections.map((one) => [one.name, swanctlConnection(one, "bytes")])),
    },
  ],
  unload: (connection) => [
    { kind: "vici", command: "unload-conn", message: { name: connection.name } },
    ...(connection.authentication.method === "psk"
      ? [{ kind: "vici", command: "unload-shared", message: { id: keyId(connection) } } as const]
      : []),
  ],
  beforeReload: [],
  loadMounted: [{ kind: "program", argv: ["swanctl", "--load-all", "--noprompt"], mayFail: false }],
};
