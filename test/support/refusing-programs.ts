import { dirname } from "node:path";
import process from "node:process";
import { defaultSearchPath, type Namespace } from "./namespace.ts";

/** The programs by which `init` changes a host, each recorded before it really runs, one of them refused instead. */
export type RefusingPrograms = {
  /** For the PATH of the command. */
  readonly searchPath: string;
  /** Begins anew; from now on the change of this number, from 1, is refused. */
  readonly refuse: (change: number) => Promise<void>;
  /** The changes since then, refused ones too, in order. */
  readonly changes: () => Promise<readonly string[]>;
};

/** What the refused program says, in the kernel's words. */
export const refusal = "RTNETLINK answers: No buffer space available";

export const installRefusingPrograms = async (namespace: Namespace): Promise<RefusingPrograms> => {
  for (const name of ["ip", "sysctl", "modprobe"])
    await namespace.writeFile(`/run/refusing/bin/${name}`, script, 0o755);
  return {
    searchPath: ["/run/refusing/bin", dirname(process.execPath), defaultSearchPath].join(":"),
    refuse: async (change) => {
      await namespace.writeFile("/run/refusing/refused", `${change}\n`);
      await namespace.writeFile("/run/refusing/changes", "");
    },
    changes: async () => (await namespace.readFile("/run/refusing/changes")).split("\n").slice(0, -1),
  };
};

/** `ip -json` only looks. */
const script = `#!/bin/sh
name=\${0##*/}
PATH=${defaultSearchPath}
[ "$name $1" = "ip -json" ] && exec ip "$@"
echo "$name $*" >>/run/refusing/changes
read -r refused </run/refusing/refused
if [ "$(wc -l </run/refusing/changes)" = "$refused" ]; then
	echo "${refusal}" >&2
	exit 2
fi
exec "$name" "$@"
`;
