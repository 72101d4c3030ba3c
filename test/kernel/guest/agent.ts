import { createReadStream, openSync, readdirSync, readFileSync, writeSync } from "node:fs";
import { release } from "node:os";
import { argv } from "node:process";
import { createInterface } from "node:readline";
import { type GuestEvent, portName, type Request } from "./protocol.ts";
import { runScenario } from "./run-scenario.ts";
import { readState } from "./state.ts";

/** The guest's side: takes one request after another from the host until the host goes away. */
const serve = async (bootSeconds: number): Promise<void> => {
  const port = openSync(portDevice(), "r+");
  const report = (event: GuestEvent): void => writeLine(port, JSON.stringify(event));
  const clean = await readState();
  report({ kind: "ready", kernel: release(), bootSeconds, readySeconds: uptimeSeconds() });
  for await (const line of createInterface({ input: createReadStream("", { fd: port }) }))
    await runScenario(JSON.parse(line) as Request, clean, report);
};

/** There is no udev in the guest, so no `/dev/virtio-ports`; sysfs has the names. */
const portDevice = (): string => {
  const ports = "/sys/class/virtio-ports";
  const found = readdirSync(ports).find(
    (entry) => readFileSync(`${ports}/${entry}/name`, "utf8").trim() === portName,
  );
  if (found === undefined) throw new Error(`no virtio-serial port is named ${portName}`);
  return `/dev/${found}`;
};

/** A port takes no more than its queue holds at once. */
const writeLine = (port: number, line: string): void => {
  const bytes = Buffer.from(`${line}\n`);
  for (let written = 0; written < bytes.length; ) written += writeSync(port, bytes, written);
};

const uptimeSeconds = (): number => Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]);

await serve(Number(argv[2]));
