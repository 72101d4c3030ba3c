import { once } from "node:events";
import { stdout } from "node:process";
import { prepareBoot } from "./boot-files.ts";
import { startMachine } from "./machine.ts";

/** A guest with a shell on this terminal, until the shell ends. */
const openShell = async (): Promise<void> => {
  await using files = await prepareBoot(`shell ${stdout.rows ?? 24} ${stdout.columns ?? 80}`);
  const machine = await startMachine(files, "inherit");
  await once(machine, "close");
};

await openShell();
