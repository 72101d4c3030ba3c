import { managedDirectories } from "../backend/backends.ts";
import type { Effects } from "../host/apply.ts";
import { daemonUser } from "../host/daemon-user.ts";
import { removeUnwanted, type WriteOptions, type Written, writeFiles } from "../host/write-files.ts";
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
  let all: readonly Written[] = [];
  return {
    write: (plan) => {
      const files = [...plan.files, ...ofDaemonUser];
      const written = writeFiles(files, options);
      return {
        commit: () => {
          removeUnwanted(managedDirectories, files, options);
          // The oldest record of a path knows what stood there before us, so it is restored last.
          all = [written, ...all];
        },
        rollBack: written.rollBack,
      };
    },
    restore: () => {
      const left = [...new Set(all.flatMap((written) => written.restore()))];
      if (left.length > 0)
        log.error({ event: "files-left", paths: left }, "written files could not be removed");
    },
  };
};
