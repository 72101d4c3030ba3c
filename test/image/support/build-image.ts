import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { repository } from "../../support/repository.ts";
import { imageName } from "./image-name.ts";

/**
 * Builds the image on Debian by `scripts/build-image`, into a store of images of its own below `.cache/image`, where a guest
 * of purpose `containers` reads it. Throws, with what the build said, when it fails.
 */
export const buildImage = (...options: readonly string[]): void => {
  const { folder, environment } = imageStore();
  mkdirSync(folder, { recursive: true });
  writeFileSync(environment.CONTAINERS_STORAGE_CONF, storageConf(folder));
  writeFileSync(environment.CONTAINERS_CONF, containersConf);
  execFileSync(join(repository, "scripts/build-image"), [...onDebian, ...options], {
    cwd: repository,
    env: { ...process.env, ...environment },
    stdio: ["ignore", "pipe", "pipe"],
    maxBuffer: 1e8,
  });
};

const onDebian = ["--engine", "podman", "--base", "debian", "--tag", imageName];

const imageStore = () => {
  const folder = join(repository, ".cache/image");
  const environment = {
    CONTAINERS_STORAGE_CONF: join(folder, "storage.conf"),
    CONTAINERS_CONF: join(folder, "containers.conf"),
  };
  return { folder, environment };
};

const storageConf = (folder: string): string => `[storage]
driver = "overlay"
runroot = "${folder}/run"
graphroot = "${folder}/store"
[storage.options.overlay]
skip_mount_home = "true"
`;

/** The host may have no systemd that would take care of cgroups, and no journal. */
const containersConf = `[engine]
cgroup_manager = "cgroupfs"
runtime = "runc"
events_logger = "none"
`;
