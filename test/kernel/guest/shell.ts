import { once } from "node:events";
import { stdout } from "node:process";
import { accelerators } from "./accelerators.ts";
import { prepareBoot } from "./boot-files.ts";
import { qemu, startMachine } from "./machine.ts";

/** A guest with a shell on this terminal, until the shell ends. */
const openShell = async (): Promise<void> => {
  const [accelerator = []] = await accelerators(qemu);
  await using files = await prepareBoot(`shell ${stdout.rows ?? 24} ${stdout.columns ?? 80}`);
  const machine = await startMachine({ ...files, accelerator }, "inherit");
  await once(machine, "close");
};

await openShell();
