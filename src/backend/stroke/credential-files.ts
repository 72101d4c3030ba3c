import type { Connection } from "../../gateway/gateway.ts";
import { authoritiesOf } from "../../ipsec/authentication.ts";
import type { Certificate } from "../../ipsec/certificate.ts";
import { masked } from "../../secret.ts";
import type { RenderOptions } from "../backend.ts";
import { type ConfigFile, marker } from "../config-file.ts";
import { renderIdentity } from "../strongswan-identity.ts";

/** Certificates and private key, beside the files that name them; nothing for a pre-shared key. */
export const credentialFiles = (
  connection: Connection,
  options: Pick<RenderOptions, "showSecrets">,
): readonly ConfigFile[] => {
  const { name, authentication } = connection;
  if (authentication.method === "psk") return [];
  const { certificate, trust } = authentication;
  const certificates = new Map(
    [
      certificate,
      ...authoritiesOf(authentication),
      ...(trust.kind === "certificate" ? [trust.certificate] : []),
    ].map((one) => [certificatePath(name, one), one.pem]),
  );
  return [
    ...[...certificates].map(([path, pem]) => ({
      path,
      mode: 0o644,
      connection: name,
      ownedByDaemon: false,
      text: `${marker}\n${pem}`,
    })),
    {
      path: privateKeyPath(name),
      mode: 0o600,
      connection: name,
      ownedByDaemon: true,
      text: `${marker}\n${options.showSecrets ? Buffer.from(authentication.privateKey.reveal()).toString() : `${masked}\n`}`,
    },
  ];
};

/** What a `conn` says of them (ipsec.conf(5)). */
export const connCredentials = ({ name, authentication }: Connection) => {
  if (authentication.method === "psk") return { auth: "psk" };
  const { certificate, trust } = authentication;
  const [root] = trust.kind === "authorities" ? trust.roots : [];
  return {
    auth: "pubkey",
    leftcert: certificatePath(name, certificate),
    ...(trust.kind === "certificate" ? { rightcert: certificatePath(name, trust.certificate) } : {}),
    ...(root === undefined ? {} : { rightca: renderIdentity(root.subject) }),
  };
};

/** The `ca` sections: strongSwan knows by them what leads from a certificate to its root. */
export const caSections = ({ name, authentication }: Connection) =>
  authentication.method === "psk"
    ? []
    : authoritiesOf(authentication).map((one, index) => ({
        // An underscore cannot be part of a connection's name, so these names are never another connection's.
        name: `${name}_${index + 1}`,
        cacert: certificatePath(name, one),
      }));

export const privateKeyPath = (connection: string): string => `/etc/ipsec.secrets.d/ipsec.${connection}.key`;

/** Another certificate has another path, so that starter, which compares texts, sees that a connection has changed. */
const certificatePath = (connection: string, { fingerprint }: Certificate): string =>
  `/etc/ipsec.config.d/ipsec.${connection}.${fingerprint.slice(0, 16)}.crt`;
