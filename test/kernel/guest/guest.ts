import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { stripVTControlCharacters } from "node:util";
import { prepareBoot } from "./boot-files.ts";
import { startMachine } from "./machine.ts";
import type { GuestEvent, Request } from "./protocol.ts";

/** `containers` is `agent` and a podman that has the image. */
export type GuestPurpose = "agent" | "containers";

/** A booted guest that takes scenarios. */
export type Guest = {
  readonly ready: Extract<GuestEvent, { kind: "ready" }>;
  request(request: Request): void;
  /** The next thing that happened, or undefined once the guest is gone. */
  nextEvent(): Promise<GuestEvent | undefined>;
  /** All that QEMU and the serial console have said. */
  console(): string;
  /** For a guest that does not answer. */
  kill(): void;
  /** Resolves when QEMU has ended and its files are removed. */
  powerOff(): Promise<void>;
};

/** Throws, with all that was said, if the guest does not come to take scenarios. */
export const bootGuest = async (purpose: GuestPurpose): Promise<Guest> => {
  await using scope = new AsyncDisposableStack();
  const files = scope.use(await prepareBoot(purpose));
  const portSocket = join(files.folder, "port.socket");
  const server = createServer().listen(portSocket);
  scope.defer(() => void server.close());
  const connection = once(server, "connection") as Promise<[Socket]>;
  const machine = await startMachine({ ...files, portSocket }, ["ignore", "pipe", "pipe"]);
  const ended = once(machine, "close");
  const kill = (): void => void machine.kill("SIGKILL");
  scope.defer(() => ended.then(() => undefined));
  scope.defer(kill);
  const console = collectConsole(machine);

  const bootLimit = setTimeout(kill, bootLimitSeconds * 1000);
  scope.defer(() => clearTimeout(bootLimit));
  const [socket] = await Promise.race([connection, ended.then(() => [undefined])]);
  const nextEvent = socket === undefined ? async () => undefined : eventReader(socket);
  const ready = await nextEvent();
  clearTimeout(bootLimit);
  if (socket === undefined || ready?.kind !== "ready")
    throw new Error(
      `the guest is not ready within ${bootLimitSeconds} seconds, or gone before; it said:\n${console()}`,
    );

  const rest = scope.move();
  const powerOff = async (): Promise<void> => {
    socket.destroy();
    const patience = setTimeout(kill, powerOffLimitSeconds * 1000);
    await ended;
    clearTimeout(patience);
    await rest.disposeAsync();
  };
  const request = (wanted: Request): void => void socket.write(`${JSON.stringify(wanted)}\n`);
  return { ready, request, nextEvent, console, kill, powerOff };
};

const bootLimitSeconds = 90;

const powerOffLimitSeconds = 10;

const collectConsole = (machine: ChildProcess): (() => string) => {
  let text = "";
  for (const stream of [machine.stdout, machine.stderr])
    stream?.setEncoding("utf8").on("data", (piece: string) => {
      text += piece;
    });
  // SeaBIOS would clear the screen of whoever reads this.
  return () => stripVTControlCharacters(text).replaceAll("\u001b", "");
};

const eventReader = (socket: Socket): (() => Promise<GuestEvent | undefined>) => {
  // A guest that is killed resets the connection; the end of the lines says as much.
  socket.on("error", () => undefined);
  const lines = createInterface({ input: socket })[Symbol.asyncIterator]();
  return async () => {
    const line = await lines.next();
    return line.done === true ? undefined : (JSON.parse(line.value) as GuestEvent);
  };
};
