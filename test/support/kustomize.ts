import { execFile } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { parseAllDocuments } from "yaml";
import { repository } from "./repository.ts";

/** An object of the Kubernetes API as kubectl would send it. */
export type Manifest = {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly [field: string]: unknown;
};

/** What `kubectl apply -k deploy/kubernetes/NAME` would send. Rejects with kubectl's words; without `psk` no key is made. */
export const renderManifests = async (name: string, psk?: string): Promise<readonly Manifest[]> => {
  const copy = mkdtempSync(join(tmpdir(), "vnf-ipsec-kubernetes-"));
  try {
    cpSync(`${repository}/deploy/kubernetes`, copy, { recursive: true });
    rmSync(join(copy, "base/psk"), { force: true });
    if (psk !== undefined) writeFileSync(join(copy, "base/psk"), psk);
    if (await isOldKubectl())
      for (const variant of readdirSync(copy))
        translateForOldKubectl(join(copy, variant, "kustomization.yaml"));
    const rendered = await kubectl("kustomize", join(copy, name));
    return parseAllDocuments(rendered).map((document) => document.toJS() as Manifest);
  } finally {
    rmSync(copy, { recursive: true });
  }
};

const kubectl = async (...argv: readonly string[]): Promise<string> =>
  (await promisify(execFile)("kubectl", argv)).stdout;

/** kubectl before 1.21, as in Debian 12, has kustomize 2.0.3 and says no version of it. */
const isOldKubectl = async (): Promise<boolean> =>
  JSON.parse(await kubectl("version", "--client", "--output=json")).kustomizeVersion === undefined;

/** kustomize 2.0.3 has other words for folders among the resources and for patches in files. */
const translateForOldKubectl = (path: string): void => {
  const text = readFileSync(path, "utf8");
  writeFileSync(
    path,
    text
      .replace(/^resources:(?=\n {2}- \.\.\/)/m, "bases:")
      .replace(/^patches:/m, "patchesStrategicMerge:")
      .replace(/^( {2}- )path: /gm, "$1"),
  );
};
