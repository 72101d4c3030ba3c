import type { Secret } from "../secret.ts";
import type { Certificate } from "./certificate.ts";

/** How both ends of a connection prove who they are (RFC 7296 §2.15). */
export type Authentication =
  | { readonly method: "psk"; readonly psk: Secret }
  | ({ readonly method: "pubkey" } & Credentials);

/** What this end proves itself with, and by what it believes the peer. */
export type Credentials = {
  readonly certificate: Certificate;
  /** Those between it and its root, which the peer may not have. */
  readonly intermediates: readonly Certificate[];
  /** PEM (PKCS#8) without a passphrase. */
  readonly privateKey: Secret;
  readonly trust:
    | {
        readonly kind: "authorities";
        /** Self-signed; the peer's certificate must lead to one of them. */
        readonly roots: readonly Certificate[];
        readonly intermediates: readonly Certificate[];
      }
    | { readonly kind: "certificate"; readonly certificate: Certificate };
  readonly revocation: Revocation;
};

/** Every CA that it takes to present this end and to believe the peer, once. The root of an own chain is not needed. */
export const authoritiesOf = ({ intermediates, trust }: Credentials): readonly Certificate[] => [
  ...new Map(
    [...(trust.kind === "authorities" ? [...trust.roots, ...trust.intermediates] : []), ...intermediates].map(
      (one) => [one.fingerprint, one],
    ),
  ).values(),
];

/** Whether the peer's certificate may have been revoked, and what follows where nobody can tell. */
export type Revocation = "relaxed" | "strict" | "off";
