import assert from "node:assert/strict";
import { findLibreswan } from "./libreswan-folder.ts";
import type { Namespace } from "./namespace.ts";
import type { Issued } from "./pki.ts";
import type { SiteProcess } from "./site-process.ts";

export type LibreswanRequest = {
  /** Libreswan's ipsec.conf(5), whole; not that of strongSwan. */
  readonly configuration: string;
  /** Its ipsec.secrets(5). */
  readonly secrets: string;
  /** Certificates by the names that `configuration` calls them, and the CA that the peers' must be of. */
  readonly certificates?: { readonly own: Readonly<Record<string, Issued>>; readonly authority: string };
};

/** IKE of another make: pluto(8), in the namespaces of a site. */
export type Libreswan = SiteProcess & {
  /** As Debian's package. */
  readonly version: string;
  /** What whack(8) prints. */
  readonly whack: (...words: string[]) => Promise<string>;
  /** Stops it as an administrator would: it tells the other side. */
  readonly stop: () => Promise<void>;
};

const directory = "/etc/libreswan";
const database = `sql:${directory}/nss`;
const programs = "/usr/libexec/ipsec";

/**
 * Resolves when all connections are loaded; those of `auto=start` begin then. Throws where libreswan has not been
 * obtained. From here on all programs of the site find it below /usr, in the place of strongSwan's.
 */
export const startLibreswan = async (site: Namespace, request: LibreswanRequest): Promise<Libreswan> => {
  const found = findLibreswan();
  if (found === undefined) throw new Error("libreswan has not been obtained: scripts/kernel does that");
  const layers = `lowerdir=${found.folder}/usr:/usr`;
  await site.run(["mount", "-t", "overlay", "-o", layers, "overlay", "/usr"]);
  await site.writeFile(`${directory}/ipsec.conf`, request.configuration);
  await site.writeFile(`${directory}/ipsec.secrets`, request.secrets, 0o600);
  await fillDatabase(site, request.certificates);

  const pluto = site.spawn(
    [
      ...([`${programs}/pluto`, "--nofork", "--stderrlog", "--no-dnssec", "--rundir", "/run/pluto"] as const),
      ...["--config", `${directory}/ipsec.conf`, "--secretsfile", `${directory}/ipsec.secrets`],
      ...["--nssdir", `${directory}/nss`],
    ],
    { label: "pluto" },
  );
  // The last that it does of what addconn(8) asks it for, which it starts by itself.
  await pluto.waitForOutput(/loading secrets from/);
  const loaded = pluto.output().match(/": added IKEv[12] connection/g)?.length;
  assert.equal(loaded, request.configuration.match(/^conn (?!%)/gm)?.length, pluto.output());
  return {
    ...pluto,
    version: found.version,
    whack: (...words) => site.run([`${programs}/whack`, "--rundir", "/run/pluto", ...words]),
    stop: async () => {
      pluto.signal("SIGTERM");
      await pluto.exited;
    },
  };
};

/** NSS keeps certificates and keys in a database; pluto wants one even where there are none. */
const fillDatabase = async (
  site: Namespace,
  { own, authority }: NonNullable<LibreswanRequest["certificates"]> = { own: {}, authority: "" },
): Promise<void> => {
  await site.run(["mkdir", "-p", `${directory}/nss`, "/run/pluto"]);
  await site.run(["certutil", "-N", "-d", database, "--empty-password"]);
  if (authority !== "")
    await site.run(["certutil", "-A", "-d", database, "-n", "authority", "-t", "CT,,"], { input: authority });
  for (const [name, { certificate, privateKey }] of Object.entries(own)) {
    const bundle = `${directory}/${name}.p12`;
    const words = ["-export", "-name", name, "-passout", "pass:", "-out", bundle];
    await site.run(["openssl", "pkcs12", ...words], { input: `${privateKey}${certificate}` });
    await site.run(["pk12util", "-i", bundle, "-d", database, "-W", ""]);
  }
};
