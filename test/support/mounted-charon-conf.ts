import type { Lab } from "./lab.ts";

/** A charon.conf by hand, with further lines of its section. It loads what the data plane of this machine needs. */
export const mountedCharonConf = (
  { dataPlane }: Pick<Lab, "dataPlane">,
  lines: readonly string[] = [],
): string =>
  `charon {
${lines.map((line) => `  ${line}\n`).join("")}  filelog {
    stderr {
      default = 1
      ike_name = yes
      log_level = yes
      flush_line = yes
    }
  }
  plugins {
    kernel-libipsec {
      load = ${dataPlane === "userspace" ? 2 : "no"}
    }
  }
}
`;
