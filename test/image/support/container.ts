import { randomUUID } from "node:crypto";
import { writeFileSync } from "node:fs";
import { command } from "../../kernel/guest/command.ts";
import { defaultSearchPath, type Namespace } from "../../support/namespace.ts";
import { type Environment, type SiteProcess, startProcess } from "../../support/site-process.ts";
import { waitFor } from "../../support/wait-for.ts";
import { imageName } from "./image-name.ts";

/** `podman run` in the foreground: its output is the container's, signals reach the container, and so does its end come back. */
export type Container = SiteProcess & {
  readonly name: string;
  /** Runs a program in it; resolves with its stdout, rejects if it fails. */
  readonly exec: (...argv: readonly string[]) => Promise<string>;
  /** `podman stop`, with podman's usual patience; resolves with the exit code of the container and how long all of it took. */
  readonly stop: () => Promise<{ readonly exitCode: number | null; readonly seconds: number }>;
  /** Resolves when the image's HEALTHCHECK succeeds. */
  readonly isHealthy: () => Promise<void>;
};

export type ContainerOptions = {
  /** For `podman run`, before the image. */
  readonly flags?: readonly string[];
  /** After the image; without it the image's own command. */
  readonly args?: readonly string[];
};

/** As the wish has it: `--privileged -v /lib/modules:/lib/modules`. */
export const privileged = ["--privileged", "-v", "/lib/modules:/lib/modules"];

/** The network of a container that has none. */
export const noNetwork = "none";

/**
 * Starts a container of the image in the network namespace of a lab's site, with the environment in a file for `--env-file`.
 * It is removed when it ends; the lab's end ends it at the latest.
 */
export const startContainer = (
  network: Namespace | typeof noNetwork,
  environment: Environment,
  { flags = [], args = [] }: ContainerOptions = {},
): Container => {
  const name = `vnf-ipsec-${randomUUID()}`;
  const variables = `/tmp/${name}.environment.sh`;
  writeFileSync(
    variables,
    `${Object.entries(environment)
      .map(([key, value]) => `${key}=${value}\n`)
      .join("")}`,
  );
  const where = network === noNetwork ? network : `ns:/proc/${network.pid}/ns/net`;
  const own = ["--rm", "--name", name, "--network", where, "--env-file", variables];
  const process = startProcess({
    label: `container ${[...flags, ...args].join(" ")}`,
    argv: ["podman", "run", ...own, ...flags, imageName, ...args],
    environment: { PATH: defaultSearchPath },
    testimony: () => "",
  });
  return {
    ...process,
    name,
    exec: (...argv) => command("podman", "exec", name, ...argv),
    stop: async () => {
      const startMs = performance.now();
      await command("podman", "stop", name);
      const { exitCode } = await process.exited;
      return { exitCode, seconds: (performance.now() - startMs) / 1000 };
    },
    isHealthy: async () => {
      await waitFor(
        "a healthy container",
        () =>
          command("podman", "healthcheck", "run", name).then(
            () => true,
            () => undefined,
          ),
        { explain: process.output },
      );
    },
  };
};

/** Runs a container to its end. */
export const runContainer = async (
  network: Namespace | typeof noNetwork,
  environment: Environment,
  options: ContainerOptions = {},
): Promise<{ readonly exitCode: number | null; readonly stdout: string; readonly stderr: string }> => {
  const container = startContainer(network, environment, options);
  const { exitCode } = await container.exited;
  return { exitCode, stdout: container.stdout(), stderr: container.stderr() };
};
