import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export type KeyKind = "rsa" | "rsa1024" | "ecdsa" | "ed25519";

/** A certificate and its private key, in PEM. */
export type Issued = { readonly certificate: string; readonly privateKey: string };

export type IssueRequest = {
  /** As `openssl req -subj` takes it: `/C=DE/CN=moon`; an empty one names nobody. */
  readonly subject: string;
  readonly kind?: KeyKind;
  /** One that there is already, instead of a new one. */
  readonly privateKey?: string;
  /** As openssl writes them: `DNS:moon.example.org,IP:192.0.2.1`. */
  readonly alternativeNames?: string;
  /** Where the list of revoked certificates is: `file:///etc/root.crl`. */
  readonly revocationList?: string;
  /** Where an OCSP server tells of it: `http://192.0.2.2:8080`. */
  readonly ocspServer?: string;
  readonly isAuthority?: boolean;
  /** Otherwise it is valid from an hour ago for a year. */
  readonly valid?: { readonly from: Date; readonly until: Date };
  readonly digest?: "sha1" | "sha256";
};

export type Authority = Issued & {
  readonly issue: (request: IssueRequest) => Issued;
  /** A CA below this one. */
  readonly authority: (request: IssueRequest) => Authority;
  readonly revoke: (issued: Issued) => void;
  /** The list of those that were revoked, in PEM. */
  readonly revocationList: () => string;
  /** What runs an OCSP server that knows whatever was issued and revoked before. */
  readonly ocspServer: (port: number) => readonly [program: string, ...words: string[]];
};

/** A directory in which `openssl ca` does all the work; removed with `[Symbol.dispose]`. */
export const createPki = (): {
  readonly root: (
    subject: string,
    kind?: KeyKind,
    valid?: IssueRequest["valid"],
    privateKey?: string,
  ) => Authority;
  readonly [Symbol.dispose]: () => void;
} => {
  const directory = mkdtempSync(join(tmpdir(), "vnf-ipsec-pki-"));
  let made = 0;
  const newFolder = (): string => {
    made += 1;
    const folder = join(directory, String(made));
    mkdirSync(folder);
    return folder;
  };
  return {
    root: (subject, kind = "ecdsa", valid = undefined, privateKey = undefined) => {
      const folder = newFolder();
      const key = join(folder, "ca.key");
      if (privateKey === undefined) makeKey(key, kind);
      else writeFileSync(key, privateKey);
      prepare(folder);
      const request = { subject, isAuthority: true, ...(valid === undefined ? {} : { valid }) };
      sign(folder, request, key, join(folder, "ca.crt"), true);
      return authorityIn(folder, newFolder);
    },
    [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }),
  };
};

const authorityIn = (folder: string, newFolder: () => string): Authority => {
  const issueInto = (own: string, name: string, request: IssueRequest): Issued => {
    const [key, certificate] = [join(own, `${name}.key`), join(own, `${name}.crt`)];
    if (request.privateKey === undefined) makeKey(key, request.kind ?? "ecdsa");
    else writeFileSync(key, request.privateKey);
    sign(folder, request, key, certificate, false);
    return { certificate: readFileSync(certificate, "utf8"), privateKey: readFileSync(key, "utf8") };
  };
  return {
    certificate: readFileSync(join(folder, "ca.crt"), "utf8"),
    privateKey: readFileSync(join(folder, "ca.key"), "utf8"),
    issue: (request) => issueInto(newFolder(), "leaf", request),
    authority: (request) => {
      const own = newFolder();
      issueInto(own, "ca", { ...request, isAuthority: true });
      prepare(own);
      return authorityIn(own, newFolder);
    },
    revoke: ({ certificate }) => {
      const path = join(newFolder(), "revoked.crt");
      writeFileSync(path, certificate);
      openssl("ca", "-config", join(folder, "ca.cnf"), "-batch", "-revoke", path);
    },
    revocationList: () => {
      const path = join(folder, "ca.crl");
      openssl("ca", "-config", join(folder, "ca.cnf"), "-gencrl", "-out", path);
      return readFileSync(path, "utf8");
    },
    ocspServer: (port) => [
      ...(["openssl", "ocsp", "-port", `${port}`, "-index", join(folder, "index.txt")] as const),
      ...["-CA", join(folder, "ca.crt"), "-rsigner", join(folder, "ca.crt"), "-rkey", join(folder, "ca.key")],
    ],
  };
};

/** What `openssl ca` keeps account in. */
const prepare = (folder: string): void => {
  writeFileSync(join(folder, "index.txt"), "");
  writeFileSync(join(folder, "crlnumber"), "01\n");
  writeFileSync(
    join(folder, "ca.cnf"),
    `[ca]
default_ca = it
[it]
database = ${folder}/index.txt
crlnumber = ${folder}/crlnumber
crl_extensions = listed
new_certs_dir = ${folder}
certificate = ${folder}/ca.crt
private_key = ${folder}/ca.key
default_md = default
default_crl_days = 30
rand_serial = yes
unique_subject = no
policy = any
[any]
countryName = optional
organizationName = optional
organizationalUnitName = optional
commonName = optional
emailAddress = optional
businessCategory = optional
[listed]
authorityKeyIdentifier = keyid
[req]
distinguished_name = empty
[empty]
`,
  );
};

const sign = (
  folder: string,
  request: IssueRequest,
  key: string,
  certificate: string,
  isSelfSigned: boolean,
): void => {
  const {
    subject,
    isAuthority = false,
    alternativeNames,
    revocationList,
    ocspServer,
    digest,
    valid,
  } = request;
  const hour = 3_600_000;
  const from = valid?.from ?? new Date(Date.now() - hour);
  const until = valid?.until ?? new Date(Date.now() + 365 * 24 * hour);
  const extensions = `${certificate}.ext`;
  const lines = [
    `basicConstraints = critical,CA:${isAuthority ? "TRUE" : "FALSE"}`,
    `keyUsage = critical,${isAuthority ? "keyCertSign,cRLSign" : "digitalSignature"}`,
    "subjectKeyIdentifier = hash",
    "authorityKeyIdentifier = keyid",
    ...(alternativeNames === undefined ? [] : [`subjectAltName = ${alternativeNames}`]),
    ...(revocationList === undefined ? [] : [`crlDistributionPoints = URI:${revocationList}`]),
    ...(ocspServer === undefined ? [] : [`authorityInfoAccess = OCSP;URI:${ocspServer}`]),
  ];
  writeFileSync(extensions, `${lines.join("\n")}\n`);
  const configuration = ["-config", join(folder, "ca.cnf")];
  const wanted = `${certificate}.csr`;
  openssl("req", ...configuration, "-new", "-key", key, "-subj", subject || "/", "-utf8", "-out", wanted);
  openssl(
    ...["ca", ...configuration, "-batch", "-notext", "-preserveDN", "-in", wanted, "-out", certificate],
    ...["-extfile", extensions, "-startdate", timeText(from), "-enddate", timeText(until)],
    ...(isSelfSigned ? ["-selfsign", "-keyfile", key] : []),
    ...(digest === undefined ? [] : ["-md", digest]),
  );
};

const makeKey = (path: string, kind: KeyKind): void => {
  openssl("genpkey", ...algorithms[kind], "-out", path);
};

const algorithms: { readonly [kind in KeyKind]: readonly string[] } = {
  rsa: ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
  rsa1024: ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"],
  ecdsa: ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
  ed25519: ["-algorithm", "ED25519"],
};

/** Writes a key in another form of PEM, or with a passphrase: the words of `openssl pkey`. */
export const convertKey = (privateKey: string, ...words: readonly string[]): string =>
  execFileSync("openssl", ["pkey", ...words], { input: privateKey, stdio: "pipe" }).toString();

const openssl = (...words: readonly string[]): void => {
  execFileSync("openssl", words, { stdio: "pipe" });
};

/** GeneralizedTime of RFC 5280 §4.1.2.5.2. */
const timeText = (date: Date): string => `${date.toISOString().replace(/[-:T]|\.\d+/g, "")}`;
