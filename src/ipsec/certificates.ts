import type { Problem } from "../failure.ts";
import { type Certificate, readCertificate } from "./certificate.ts";

type Certificates =
  | { readonly ok: true; readonly value: readonly Certificate[]; readonly warnings: readonly Problem[] }
  | { readonly ok: false; readonly problems: readonly Problem[]; readonly warnings: readonly Problem[] };

/** Reads certificates in PEM (RFC 7468 §5), which may have text around them. */
export const parseCertificates = (bytes: Uint8Array): Certificates => {
  const text = Buffer.from(bytes).toString("latin1");
  // Certificates are written readable for all.
  if (/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text))
    return refused("holds a private key", "keep certificates and private key in files of their own");
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  const begun = text.match(/-----BEGIN CERTIFICATE-----/g) ?? [];
  if (begun.length === 0 && bytes[0] === 0x30)
    return refused(
      "is not PEM but, it seems, DER",
      `openssl x509 -inform der -in FILE -out cert.pem; ${fromPkcs12}`,
    );
  if (begun.length === 0)
    return refused(
      "holds no certificate in PEM",
      `it begins with -----BEGIN CERTIFICATE-----, or is in a file that the variable with _FILE names; ${fromPkcs12}`,
    );
  if (blocks.length !== begun.length)
    return refused("holds a certificate without its end", "copy it anew, up to -----END CERTIFICATE-----");
  if (blocks.length > maximumCertificates)
    return refused(
      `holds ${blocks.length} certificates`,
      `at most ${maximumCertificates}: the bundle of a web browser trusts the whole world`,
    );
  const certificates: Certificate[] = [];
  const problems: Problem[] = [];
  for (const [index, block] of blocks.entries()) {
    try {
      certificates.push(readCertificate(Buffer.from(block, "latin1")));
    } catch {
      problems.push({
        message: `its certificate ${index + 1} of ${blocks.length} cannot be read`,
        hint: "see what openssl x509 -in FILE -noout -text says of it",
      });
    }
  }
  return problems.length > 0
    ? { ok: false, problems, warnings: [] }
    : { ok: true, value: distinct(certificates), warnings: [] };
};

/** More than any chain has (strongSwan follows seven at most, MAX_TRUST_PATH_LEN). */
const maximumCertificates = 20;

/** Which is DER, too. */
const fromPkcs12 = "a PKCS#12 file is taken apart by: openssl pkcs12 -in FILE -nokeys";

const refused = (message: string, hint: string): Certificates => ({
  ok: false,
  problems: [{ message, hint }],
  warnings: [],
});

const distinct = (certificates: readonly Certificate[]): readonly Certificate[] => [
  ...new Map(certificates.map((one) => [one.fingerprint, one])).values(),
];
