import { execa } from "execa";
import { findLibreswan, libreswanCache } from "../../support/libreswan-folder.ts";
import { unpackPackages } from "./debian-packages.ts";

/**
 * Debian's libreswan and the packages that it needs and this host has not, in the cache of the repository. It cannot be
 * installed, because it and strongSwan exclude each other. What is there is used as it is; an empty cache fetches
 * today's. Throws when apt cannot deliver.
 */
export const obtainLibreswan = async (): Promise<void> => {
  if (findLibreswan() !== undefined) return;
  const wanted = await whatAnInstallationAdds();
  const version = wanted.get("libreswan");
  if (version === undefined)
    throw new Error("apt knows no libreswan: the kernel tier needs Debian's package lists (apt-get update)");
  await unpackPackages({ packages: [...wanted.keys()], cache: libreswanCache, name: version });
};

/** Versions by package. Nothing is installed: apt-get(8) prints `Inst NAME [OLD] (NEW …)` for each package. */
const whatAnInstallationAdds = async (): Promise<ReadonlyMap<string, string>> => {
  const options = ["--simulate", "--no-install-recommends"];
  const { stdout } = await execa("apt-get", [...options, "install", "libreswan"], {
    env: { LC_ALL: "C" },
    reject: false,
  });
  return new Map(
    [...stdout.matchAll(/^Inst (\S+) (?:\[\S+\] )?\((\S+)/gm)].map(([, name = "", version = ""]) => [
      name,
      version,
    ]),
  );
};
