import type { Connection } from "../../gateway/gateway.ts";
import { masked } from "../../secret.ts";
import type { Backend, RenderOptions } from "../backend.ts";
import { type ConfigFile, marker } from "../config-file.ts";
import { secretOwners } from "../secret-owners.ts";
import { swanctlConnection } from "./connection.ts";

const connectionFiles = (connection: Connection, options: RenderOptions): readonly ConfigFile[] => [
  {
    path: `/etc/swanctl/conf.d/${connection.name}.conf`,
    mode: 0o600,
    // charon never reads it: it is told by vici, and the file is for swanctl and people.
    ownedByDaemon: false,
    text: options.templates["swanctl/connection.conf"]({
      marker,
      name: connection.name,
      connection: swanctlConnection(connection),
      owners: secretOwners(connection),
      psk: (options.showSecret ?? (() => masked))(connection.authentication.psk),
    }),
  },
];

/** As swanctl names the secret of a section `ike-<name>` (strongSwan src/swanctl/commands/load_creds.c, load_secret). */
const keyId = ({ name }: Connection): string => `ike-${name}`;

/** swanctl.conf(5), which is loaded over vici: charon is told the same as `swanctl --load-all` would tell it. */
export const swanctl: Backend = {
  name: "swanctl",
  directories: ["/etc/swanctl/conf.d"],
  connectionFiles,
  daemon: {
    command: ["charon"],
    program: "charon",
    hint: "install strongSwan's charon: strongswan-charon on Debian, strongswan on Alpine",
    loadsFiles: false,
  },
  usesStroke: false,
  // The key first, since a connection may be initiated as soon as it is loaded.
  load: (connection) => [
    {
      kind: "vici",
      command: "load-shared",
      message: {
        id: keyId(connection),
        type: "IKE",
        data: connection.authentication.psk.reveal(),
        owners: secretOwners(connection),
      },
    },
    {
      kind: "vici",
      command: "load-conn",
      message: { [connection.name]: swanctlConnection(connection) },
    },
  ],
  unload: (connection) => [
    { kind: "vici", command: "unload-conn", message: { name: connection.name } },
    { kind: "vici", command: "unload-shared", message: { id: keyId(connection) } },
  ],
  beforeReload: [],
  loadMounted: [{ kind: "program", argv: ["swanctl", "--load-all", "--noprompt"], mayFail: false }],
};
