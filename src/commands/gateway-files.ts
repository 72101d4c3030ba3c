import { managedDirectories } from "../backend/backends.ts";
import type { Effects } from "../host/apply.ts";
import { daemonUser } from "../host/daemon-user.ts";
import {
  type Original,
  removeUnwanted,
  restoreFiles,
  type WriteOptions,
  writeFiles,
} from "../host/write-files.ts";
import type { PlannedGateway } from "./planned-gateway.ts";

/** The files of a running gateway. */
export type GatewayFiles = {
  /** Writes those of the plan; `commit` removes what it no longer wants, `rollBack` puts back what they replaced. */
  readonly write: (plan: PlannedGateway) => { readonly commit: () => void; readonly rollBack: () => void };
  /** Puts back what stood there before the first was written, and logs what cannot be. */
  readonly restore: () => void;
};

export const createGatewayFiles = ({ log }: Pick<Effects, "log">): GatewayFiles => {
  const { owner, files: ofDaemonUser } = daemonUser();
  const options: WriteOptions = { root: "", ...(owner === undefined ? {} : { owner }) };
  // Only the first write of a path knows what stood there before us.
  const originals = new Map<string, Original>();
  return {
    write: (plan) => {
      const files = [...plan.files, ...ofDaemonUser];
      const written = writeFiles(files, options);
      return {
        commit: () => {
          removeUnwanted(managedDirectories, files, options);
          for (const original of written.originals)
            if (!originals.has(original.path)) originals.set(original.path, original);
        },
        rollBack: written.rollBack,
      };
    },
    restore: () => {
      const left = restoreFiles([...originals.values()], options);
      if (left.length > 0)
        log.error({ event: "files-left", paths: left }, "written files could not be removed");
    },
  };
};
