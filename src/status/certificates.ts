import { type Authentication, authoritiesOf } from "../ipsec/authentication.ts";
import type { Certificate } from "../ipsec/certificate.ts";
import type { GatewayStatus } from "./status-schema.ts";

/** The certificates that a connection is given, with their ends; none with a pre-shared key. */
export const certificatesOf = (authentication: Authentication | undefined): readonly CertificateStatus[] => {
  if (authentication === undefined || authentication.method === "psk") return [];
  const { certificate, trust } = authentication;
  return [
    describe("local", certificate),
    ...(trust.kind === "certificate" ? [describe("remote", trust.certificate)] : []),
    ...authoritiesOf(authentication).map((one) => describe("authority", one)),
  ];
};

type CertificateStatus = NonNullable<GatewayStatus["connections"][number]["certificates"]>[number];

const describe = (of: CertificateStatus["of"], { subject, notAfter }: Certificate): CertificateStatus => ({
  of,
  subject: subject.text,
  expiresAt: notAfter.toISOString(),
});
