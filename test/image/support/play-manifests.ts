import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import process from "node:process";
import { stringify } from "yaml";
import { type Manifest, renderManifests } from "../../support/kustomize.ts";
import { imageName } from "./image-name.ts";

/**
 * usage: play-manifests.ts FOLDER
 * Plays a folder of deploy/kubernetes with podman, on the host's network, with the address POD_ADDRESS.
 */
const play = async (folder: string, address: string): Promise<void> => {
  const manifests = await renderManifests(
    basename(folder),
    readFileSync("deploy/kubernetes/base/psk", "utf8"),
  );
  const adapted = manifests
    // podman plays no other kinds.
    .filter(({ kind }) => ["ConfigMap", "Secret", "Deployment"].includes(kind))
    .map((manifest) => (manifest.kind === "Secret" ? decoded(manifest) : manifest))
    .map((manifest) => JSON.parse(JSON.stringify(manifest, forPodman(address))) as Manifest);
  const file = "/run/manifests.yaml";
  writeFileSync(file, adapted.map((manifest) => stringify(manifest)).join("---\n"));
  execFileSync("podman", ["play", "kube", "--network", "host", file], { stdio: "inherit" });
};

/** podman 4.3 would mount the text in base64 as it stands. */
const decoded = ({ data, ...rest }: Manifest): Manifest => ({
  ...(rest as Manifest),
  data: Object.fromEntries(
    Object.entries(data as Record<string, string>).map(([key, text]) => [
      key,
      Buffer.from(text, "base64").toString(),
    ]),
  ),
});

/**
 * What podman 4.3 does not know: the pod's address, images of our tag, ports on the host's network that it would map, a
 * secret of which nothing says whether it is optional, and that an init container which has ended need not run again.
 */
const forPodman =
  (address: string) =>
  (name: string, value: unknown): unknown => {
    switch (name) {
      case "image":
        return imageName;
      case "env":
        return (value as readonly { name: string; value?: string }[]).map(({ name, value = address }) => ({
          name,
          value,
        }));
      case "secret":
        return { ...(value as object), optional: false };
      case "ports":
        return undefined;
      case "spec":
        return "containers" in (value as object) ? { ...(value as object), restartPolicy: "Never" } : value;
      default:
        return value;
    }
  };

await play(process.argv[2] ?? "", process.env["POD_ADDRESS"] ?? "");
