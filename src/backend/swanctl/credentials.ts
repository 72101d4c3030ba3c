import type { Connection } from "../../gateway/gateway.ts";
import { authoritiesOf, type Credentials } from "../../ipsec/authentication.ts";
import type { Certificate } from "../../ipsec/certificate.ts";
import { masked } from "../../secret.ts";
import type { ConnectionOptions, DaemonRequest } from "../backend.ts";
import { type ConfigFile, marker } from "../config-file.ts";
import { renderIdentity } from "../strongswan-identity.ts";

/** What `swanctl --load-all` would load beside the connection, for swanctl and people. */
export const credentialFiles = (
  { name, authentication }: Connection,
  options: Pick<ConnectionOptions, "showSecrets">,
): readonly ConfigFile[] => {
  if (authentication.method === "psk") return [];
  const { certificate, trust, privateKey } = authentication;
  const shared = { connection: name, ownedByDaemon: false } as const;
  const certificateFile = (directory: string, file: string, one: Certificate): ConfigFile => ({
    ...shared,
    path: `/etc/swanctl/${directory}/${file}`,
    mode: 0o644,
    text: `${marker}\n${one.pem}`,
  });
  return [
    certificateFile("x509", ownFile(name), certificate),
    ...(trust.kind === "certificate" ? [certificateFile("x509", peerFile(name), trust.certificate)] : []),
    ...authoritiesOf(authentication).map((one, index) =>
      certificateFile("x509ca", authorityFile(name, index), one),
    ),
    {
      ...shared,
      path: `/etc/swanctl/private/${ownFile(name)}`,
      mode: 0o600,
      text: `${marker}\n${options.showSecrets ? Buffer.from(privateKey.reveal()).toString() : `${masked}\n`}`,
    },
  ];
};

/**
 * What has charon know the private key and the CAs, as swanctl would. They stay until charon ends: a key that two
 * connections have must not go with one of them, and each connection names the CAs that it trusts.
 */
export const loadCredentials = ({ authentication }: Connection): readonly DaemonRequest[] => {
  if (authentication.method === "psk") return [];
  return [
    {
      kind: "vici",
      command: "load-key",
      message: { type: "any", data: authentication.privateKey.reveal() },
    },
    ...authoritiesOf(authentication).map(
      ({ der }): DaemonRequest => ({
        kind: "vici",
        command: "load-cert",
        message: { type: "X509", flag: "CA", data: der },
      }),
    ),
  ];
};

/** How a certificate is said: by its file in swanctl.conf, by its bytes over vici. */
export type Naming = "file" | "bytes";

/** The ends of a connection in the words of swanctl.conf(5). */
export const endsOf = ({ name, local, remote, authentication }: Connection, naming: Naming) => {
  const ids = [
    { id: renderIdentity(local.identity) },
    // Anybody is whoever is not named, as in ipsec.conf.
    remote.identity.kind === "any" ? {} : { id: renderIdentity(remote.identity) },
  ] as const;
  if (authentication.method === "psk")
    return { local: { auth: "psk", ...ids[0] }, remote: { auth: "psk", ...ids[1] } };
  const said = (file: string, { der }: Certificate): string | Uint8Array => (naming === "file" ? file : der);
  const { certificate, revocation } = authentication;
  return {
    local: { auth: "pubkey", ...ids[0], certs: [said(ownFile(name), certificate)] },
    remote: {
      auth: "pubkey",
      ...ids[1],
      ...trusted(name, authentication, said),
      ...(revocation === "strict" ? { revocation: "strict" } : {}),
    },
  };
};

/** A root that is named here is the only one that this connection trusts (strongSwan auth_cfg.c, complies). */
const trusted = (
  name: string,
  credentials: Credentials,
  said: (file: string, certificate: Certificate) => string | Uint8Array,
) => {
  const { trust } = credentials;
  if (trust.kind === "certificate") return { certs: [said(peerFile(name), trust.certificate)] };
  const all = authoritiesOf(credentials);
  return {
    cacerts: trust.roots.map((one) =>
      said(
        authorityFile(
          name,
          all.findIndex((each) => each.fingerprint === one.fingerprint),
        ),
        one,
      ),
    ),
  };
};

// An underscore cannot be part of a connection's name, so these are never another connection's.
const ownFile = (name: string): string => `${name}.pem`;
const peerFile = (name: string): string => `${name}_peer.pem`;
const authorityFile = (name: string, index: number): string => `${name}_${index + 1}.pem`;
