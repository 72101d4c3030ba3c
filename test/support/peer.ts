import { rm } from "node:fs/promises";
import { connect } from "node:net";
import type { DataPlane } from "./data-plane.ts";
import { defaultSearchPath, type Namespace } from "./namespace.ts";
import type { SiteProcess, WaitOptions } from "./site-process.ts";
import { type PeerConnection, swanctlConf } from "./swanctl-conf.ts";
import { parseListing, type Section } from "./swanctl-listing.ts";
import { waitFor } from "./wait-for.ts";

export type PeerRequest = {
  readonly connections?: readonly PeerConnection[];
  /** A whole swanctl.conf(5) instead of connections. Files that it names belong below /etc/peer, as in /etc/swanctl. */
  readonly swanctl?: string;
  /** Further lines of strongswan.conf's charon section, such as `retransmit_timeout = 0.5`. */
  readonly charonLines?: readonly string[];
  /** Further plugins, which load after the others. */
  readonly plugins?: readonly string[];
};

/** A strongSwan that owes nothing to the product: charon itself, swanctl.conf by hand, loaded by swanctl. */
export type Peer = SiteProcess & {
  /** The IKE SAs by connection, with their `child-sas`; see list-sa in strongSwan's vici README for the fields. */
  readonly sas: () => Promise<readonly IkeSa[]>;
  /** Waits until charon says that a CHILD SA is installed; `from` skips the earlier ones. */
  readonly waitForTunnel: (options?: WaitOptions) => Promise<void>;
  /** Replaces the configuration; established SAs stay. */
  readonly load: (swanctl: string) => Promise<void>;
  /** What swanctl prints; its directory and charon are this peer's. */
  readonly swanctl: (...words: string[]) => Promise<string>;
  /** Stops charon as an administrator would: it tells the other side. */
  readonly stop: () => Promise<void>;
};

export type IkeSa = {
  readonly name: string;
  readonly children: readonly Section[];
  readonly fields: Section;
};

const directory = "/etc/peer";
const sockets = ["/run/charon.vici", "/run/charon.ctl", "/run/charon.pid"];

/** Resolves when charon answers and its connections, if any, are loaded, which starts those of `start_action = start`. */
export const startPeer = async (
  namespace: Namespace,
  dataPlane: DataPlane,
  { connections = [], swanctl, charonLines = [], plugins = [] }: PeerRequest,
): Promise<Peer> => {
  // A charon that was killed leaves them; a socket without a listener looks ready and accepts nobody.
  await Promise.all([
    ...sockets.map((path) => rm(namespace.fromOutside(path), { force: true })),
    namespace.writeFile(`${directory}/strongswan.conf`, strongswanConf(dataPlane, charonLines, plugins)),
  ]);
  const environment = {
    PATH: defaultSearchPath,
    STRONGSWAN_CONF: `${directory}/strongswan.conf`,
    SWANCTL_DIR: directory,
  };
  const charon = namespace.spawn(["/usr/lib/ipsec/charon"], {
    env: environment,
    label: "charon of the peer",
  });
  const swanctlCommand = (...words: string[]) => namespace.run(["swanctl", ...words], { env: environment });

  const load = async (text: string) => {
    await namespace.writeFile(`${directory}/swanctl.conf`, text, 0o600);
    const { stdout, stderr, exitCode } = await namespace.exec(["swanctl", "--load-all"], {
      env: environment,
    });
    // A syntax error in the file alone leaves the exit code at 0.
    if (exitCode !== 0 || !/^successfully loaded [1-9]/m.test(stdout)) {
      throw new Error(`${namespace.name}: the peer's swanctl.conf is refused\n${stdout}${stderr}\n${text}`);
    }
  };

  await waitFor("charon to answer", () => answers(namespace.fromOutside("/run/charon.vici"), charon), {
    explain: charon.output,
  });
  if (swanctl !== undefined || connections.length > 0) {
    await load(swanctl ?? swanctlConf(connections));
  }

  return {
    ...charon,
    load,
    swanctl: swanctlCommand,
    sas: async () => parseListing(await swanctlCommand("--list-sas", "--pretty")).flatMap(ikeSas),
    waitForTunnel: async (options) => {
      await charon.waitForOutput(/CHILD_SA \S+ established with SPIs/, options);
    },
    stop: async () => {
      charon.signal("SIGTERM");
      await charon.exited;
    },
  };
};

const answers = (path: string, charon: SiteProcess): Promise<true | undefined> =>
  new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(undefined));
    void charon.exited.then(
      () => reject(new Error(`${charon.label} ended at its start\n${charon.output()}`)),
      reject,
    );
  });

const ikeSas = (message: Section): IkeSa[] =>
  Object.entries(message).flatMap(([name, fields]) =>
    isSection(fields)
      ? [{ name, fields, children: Object.values(fields["child-sas"] ?? {}).filter(isSection) }]
      : [],
  );

const isSection = (value: Section[string]): value is Section =>
  typeof value === "object" && !Array.isArray(value);

const strongswanConf = (
  dataPlane: DataPlane,
  charonLines: readonly string[],
  plugins: readonly string[],
): string => `charon {
  load = ${[...pluginsOf[dataPlane], ...plugins].join(" ")}
  filelog {
    stderr {
      default = 1
      ike_name = yes
      flush_line = yes
    }
  }
  ${charonLines.join("\n  ")}
}
swanctl {
  load = random openssl pem pkcs1 pkcs8 x509 pubkey
}
`;

const common = "random nonce aes sha1 sha2 md5 hmac kdf gcm ccm ctr cmac xcbc chapoly curve25519 openssl";
const certificates = "pem pkcs1 pkcs8 pubkey x509 revocation constraints";
const service = "socket-default vici updown counters";

/** kernel-libipsec must come before kernel-netlink, or the latter claims ESP. */
const pluginsOf: { readonly [plane in DataPlane]: readonly string[] } = {
  kernel: [common, certificates, "kernel-netlink", service],
  userspace: [common, certificates, "kernel-libipsec kernel-netlink", service],
};
