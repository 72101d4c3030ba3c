import { createHash } from "node:crypto";
import type { Connection } from "../../gateway/gateway.ts";
import { authoritiesOf, type Credentials } from "../../ipsec/authentication.ts";
import type { Certificate } from "../../ipsec/certificate.ts";
import { masked } from "../../secret.ts";
import type { ConnectionOptions } from "../backend.ts";
import { type ConfigFile, marker } from "../config-file.ts";
import { renderIdentity } from "../strongswan-identity.ts";

/** Certificates and private key, beside the files that name them; nothing for a pre-shared key. */
export const credentialFiles = (
  { name, authentication }: Connection,
  options: Pick<ConnectionOptions, "showSecrets">,
): readonly ConfigFile[] => {
  if (authentication.method === "psk") return [];
  const { certificate, trust, privateKey } = authentication;
  const pathOf = certificatePaths(name, authentication);
  const certificateFile = (path: string, { pem }: Certificate): ConfigFile => ({
    path,
    mode: 0o644,
    connection: name,
    ownedByDaemon: false,
    text: `${marker}\n${pem}`,
  });
  return [
    certificateFile(pathOf("own"), certificate),
    ...(trust.kind === "certificate" ? [certificateFile(pathOf("peer"), trust.certificate)] : []),
    ...authoritiesOf(authentication).map((one, index) => certificateFile(pathOf(index), one)),
    {
      path: privateKeyPath(name),
      mode: 0o600,
      connection: name,
      ownedByDaemon: true,
      text: `${marker}\n${options.showSecrets ? Buffer.from(privateKey.reveal()).toString() : `${masked}\n`}`,
    },
  ];
};

/** What a `conn` says of them (ipsec.conf(5)). */
export const connCredentials = ({ name, authentication }: Connection) => {
  if (authentication.method === "psk") return { auth: "psk" };
  const { trust } = authentication;
  const pathOf = certificatePaths(name, authentication);
  const [root] = trust.kind === "authorities" ? trust.roots : [];
  return {
    auth: "pubkey",
    leftcert: pathOf("own"),
    ...(trust.kind === "certificate" ? { rightcert: pathOf("peer") } : {}),
    ...(root === undefined ? {} : { rightca: renderIdentity(root.subject) }),
  };
};

/** The `ca` sections: strongSwan knows by them what leads from a certificate to its root. */
export const caSections = ({ name, authentication }: Connection) => {
  if (authentication.method === "psk") return [];
  const pathOf = certificatePaths(name, authentication);
  // An underscore cannot be part of a connection's name, so these names are never another connection's.
  return authoritiesOf(authentication).map((_, index) => ({
    name: `${name}_${index + 1}`,
    cacert: pathOf(index),
  }));
};

export const privateKeyPath = (connection: string): string => `/etc/ipsec.secrets.d/ipsec.${connection}.key`;

/**
 * Where each certificate is: the own, the peer's, and CAs by their number. Whatever is another of all that the
 * connection is given, all paths are others: starter compares only what its `conn` says (starter/cmp.c), and would not
 * load one again whose CA alone has changed.
 */
const certificatePaths = (
  connection: string,
  credentials: Credentials,
): ((which: "own" | "peer" | number) => string) => {
  const { certificate, trust, revocation } = credentials;
  const given = [
    certificate,
    ...(trust.kind === "certificate" ? [trust.certificate] : []),
    ...authoritiesOf(credentials),
  ].map(({ fingerprint }) => fingerprint);
  const digest = createHash("sha256")
    .update([trust.kind, revocation === "strict", ...given].join(" "))
    .digest("hex")
    .slice(0, 16);
  return (which) =>
    `/etc/ipsec.config.d/ipsec.${connection}.${digest}.${typeof which === "number" ? `ca${which + 1}` : which}.crt`;
};
