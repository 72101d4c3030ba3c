import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { connectVici } from "../../../src/vici/client.ts";
import { encodeMessage } from "../../../src/vici/codec.ts";
import { encodeFrame } from "../../../src/vici/frame.ts";
import { type Message, textOf } from "../../../src/vici/message.ts";
import { encodePacket } from "../../../src/vici/packet.ts";
import { requireSuccess, ViciError, type ViciErrorKind } from "../../../src/vici/vici-error.ts";
import { behave, startScriptedCharon } from "./scripted-charon.ts";

const fault =
  (kind: ViciErrorKind, message = /^/) =>
  (error: unknown) => {
    assert.ok(error instanceof ViciError, String(error));
    assert.equal(error.kind, kind, error.message);
    assert.match(error.message, message);
    return true;
  };

const collect = async (stream: AsyncIterable<Message>, key: string): Promise<(string | undefined)[]> => {
  const values: (string | undefined)[] = [];
  for await (const message of stream) values.push(textOf(message, key));
  return values;
};

test("a request gives charon's response to it", async (context) => {
  const charon = await startScriptedCharon(context, (packet, peer) => {
    assert.deepEqual(packet, { type: "command-request", name: "get-key", body: encodeMessage({ id: "a" }) });
    peer.respond({ id: "a", keys: ["x", "y"] });
  });
  const vici = await connectVici(charon.path);
  assert.deepEqual(JSON.parse(JSON.stringify(await vici.request("get-key", { id: "a" }))), {
    id: "a",
    keys: ["x", "y"],
  });
  vici.close();
});

test("a response is understood however the socket cuts it up", async (context) => {
  const charon = await startScriptedCharon(context, (_packet, { socket }) => {
    socket.setNoDelay(true);
    const frame = encodeFrame(
      encodePacket({ type: "command-response", body: encodeMessage({ key: "value" }) }),
    );
    const writeFrom = (offset: number): void => {
      if (offset < frame.length) {
        socket.write(frame.subarray(offset, offset + 1), () => setImmediate(writeFrom, offset + 1));
      }
    };
    writeFrom(0);
  });
  const vici = await connectVici(charon.path);
  assert.equal(textOf(await vici.request("version"), "key"), "value");
  vici.close();
});

test("requests made together are sent one after the other, in order", async (context) => {
  let unanswered = 0;
  let mostUnanswered = 0;
  const charon = await startScriptedCharon(context, (packet, peer) => {
    unanswered += 1;
    mostUnanswered = Math.max(mostUnanswered, unanswered);
    setImmediate(() => {
      unanswered -= 1;
      peer.respond({ to: packet.name });
    });
  });
  const vici = await connectVici(charon.path);
  const commands = Array.from({ length: 200 }, (_, index) => `command-${index}`);
  const responses = await Promise.all(commands.map((command) => vici.request(command)));
  assert.deepEqual(
    responses.map((response) => textOf(response, "to")),
    commands,
  );
  assert.equal(mostUnanswered, 1);
  vici.close();
});

test("events are heard between and during requests, and no longer once unsubscribed", async (context) => {
  const charon = await startScriptedCharon(context, (packet, peer) => {
    if (packet.type === "event-register") {
      // charon may raise it from another thread before it confirms.
      peer.raise("log", { msg: "early" });
    }
    if (packet.type === "command-request") {
      peer.raise("log", { msg: packet.name });
      peer.raise("other", { msg: "nobody listens" });
    }
    behave(packet, peer);
  });
  const vici = await connectVici(charon.path);
  const heard: (string | undefined)[] = [];
  const unsubscribe = await vici.subscribe("log", (message) => heard.push(textOf(message, "msg")));
  await vici.request("first");
  await vici.request("second");
  await unsubscribe();
  await vici.request("third");
  await unsubscribe();
  assert.deepEqual(heard, ["early", "first", "second"]);
  assert.deepEqual(charon.heard, [
    "event-register log",
    "command-request first",
    "command-request second",
    "event-unregister log",
    "command-request third",
  ]);
  vici.close();
});

test("an event is registered once for all its listeners, for charon would send it once per registration", async (context) => {
  const charon = await startScriptedCharon(context, (packet, peer) => {
    if (packet.type === "command-request") peer.raise("log", { msg: packet.name });
    behave(packet, peer);
  });
  const vici = await connectVici(charon.path);
  let count = 0;
  const listener = (): void => {
    count += 1;
  };
  const [first, second] = await Promise.all([
    vici.subscribe("log", listener),
    vici.subscribe("log", listener),
  ]);
  await vici.request("both");
  assert.equal(count, 2);
  await first();
  await vici.request("one");
  assert.equal(count, 3);
  await second();
  const third = await vici.subscribe("log", listener);
  await vici.request("again");
  assert.equal(count, 4);
  await third();
  assert.deepEqual(
    charon.heard.filter((packet) => packet.endsWith(" log")),
    ["event-register log", "event-unregister log", "event-register log", "event-unregister log"],
  );
  vici.close();
});

test("a stream registers its event, yields what the command raises, returns the response and unregisters", async (context) => {
  const charon = await startScriptedCharon(context, (packet, peer) => {
    if (packet.type !== "command-request") return behave(packet, peer);
    for (const name of ["a", "b", "c"]) peer.raise("list-sa", { name });
    peer.respond({ total: "3" });
  });
  const vici = await connectVici(charon.path);
  const stream = vici.stream("list-sas", "list-sa", { noblock: "yes" });
  assert.deepEqual(charon.heard, []);
  const names: (string | undefined)[] = [];
  let step = await stream.next();
  for (; step.done !== true; step = await stream.next()) names.push(textOf(step.value, "name"));
  assert.deepEqual(names, ["a", "b", "c"]);
  assert.equal(textOf(step.value, "total"), "3");
  assert.deepEqual(charon.heard, [
    "event-register list-sa",
    "command-request list-sas",
    "event-unregister list-sa",
  ]);
  vici.close();
});

test("two streams of one event on one connection do not mix", async (context) => {
  const charon = await startScriptedCharon(context, (packet, peer) => {
    if (packet.type === "command-request") {
      for (const number of ["1", "2"]) peer.raise("list", { name: `${packet.name}-${number}` });
    }
    behave(packet, peer);
  });
  const vici = await connectVici(charon.path);
  assert.deepEqual(
    await Promise.all([collect(vici.stream("x", "list"), "name"), collect(vici.stream("y", "list"), "name")]),
    [
      ["x-1", "x-2"],
      ["y-1", "y-2"],
    ],
  );
  vici.close();
});

test("a stream that yields ten thousand messages at once loses none and keeps their order", async (context) => {
  const names = Array.from({ length: 10_000 }, (_, index) => `conn-${index}`);
  const charon = await startScriptedCharon(context, (packet, peer) => {
    if (packet.type === "command-request") for (const name of names) peer.raise("list-conn", { name });
    behave(packet, peer);
  });
  const vici = await connectVici(charon.path);
  assert.deepEqual(await collect(vici.stream("list-conns", "list-conn"), "name"), names);
  vici.close();
});

test("a stream can be left early: its command runs on unheard, then the connection serves the next", async (context) => {
  let finish = (): void => {};
  const charon = await startScriptedCharon(context, (packet, peer) => {
    if (packet.name !== "initiate") return behave(packet, peer);
    peer.raise("control-log", { msg: "first" });
    finish = () => {
      peer.raise("control-log", { msg: "second" });
      peer.respond();
    };
  });
  const vici = await connectVici(charon.path);
  for await (const message of vici.stream("initiate", "control-log")) {
    assert.equal(textOf(message, "msg"), "first");
    break;
  }
  const next = vici.request("version");
  finish();
  await next;
  assert.deepEqual(charon.heard, [
    "event-register control-log",
    "command-request initiate",
    "event-unregister control-log",
    "command-request version",
  ]);
  vici.close();
});

test("binary values come through a request and a stream when asked for as latin1", async (context) => {
  const der = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
  const charon = await startScriptedCharon(context, (packet, peer) => {
    if (packet.type !== "command-request") return behave(packet, peer);
    peer.raise("list-cert", { data: der });
    peer.respond({ data: der });
  });
  const vici = await connectVici(charon.path);
  const [data] = await collect(vici.stream("list-certs", "list-cert", {}, { encoding: "latin1" }), "data");
  assert.deepEqual(Buffer.from(data ?? "", "latin1"), der);
  const response = await vici.request("list-certs", {}, { encoding: "latin1" });
  assert.deepEqual(Buffer.from(textOf(response, "data") ?? "", "latin1"), der);
  vici.close();
});

test("an unknown command is a fault of its own and the connection goes on", async (context) => {
  const charon = await startScriptedCharon(context, (packet, peer) =>
    packet.name === "version" ? peer.respond() : peer.say("command-unknown"),
  );
  const vici = await connectVici(charon.path);
  await assert.rejects(vici.request("get-counters"), fault("unknown-command", /get-counters/));
  await vici.request("version");
  vici.close();
});

test("an unknown event is a fault of every subscriber and stream, and the stream's command is not sent", async (context) => {
  const charon = await startScriptedCharon(context, (_packet, peer) => peer.say("event-unknown"));
  const vici = await connectVici(charon.path);
  const both = [vici.subscribe("alert", () => {}), vici.subscribe("alert", () => {})];
  for (const result of await Promise.allSettled(both)) {
    assert.equal(result.status, "rejected");
    fault("unknown-event", /alert/)(result.reason);
  }
  await assert.rejects(
    collect(vici.stream("list-sas", "list-sa"), "name"),
    fault("unknown-event", /list-sa/),
  );
  assert.deepEqual(charon.heard, ["event-register alert", "event-register list-sa"]);
  vici.close();
});

test("an event that was unknown can be subscribed to once charon knows it", async (context) => {
  let known = false;
  const charon = await startScriptedCharon(context, (_packet, peer) => {
    peer.say(known ? "event-confirm" : "event-unknown");
    known = true;
  });
  const vici = await connectVici(charon.path);
  await assert.rejects(
    vici.subscribe("alert", () => {}),
    fault("unknown-event"),
  );
  await vici.subscribe("alert", () => {});
  assert.deepEqual(charon.heard, ["event-register alert", "event-register alert"]);
  vici.close();
});

test("a listener that closes the connection is the last to hear of it", async (context) => {
  const charon = await startScriptedCharon(context, (packet, peer) => {
    if (packet.type !== "command-request") return behave(packet, peer);
    peer.socket.cork();
    for (const msg of ["first", "second"]) peer.raise("log", { msg });
    peer.socket.uncork();
  });
  const vici = await connectVici(charon.path);
  const heard: (string | undefined)[] = [];
  await vici.subscribe("log", (message) => {
    heard.push(textOf(message, "msg"));
    vici.close();
  });
  await assert.rejects(vici.request("version"), fault("closed"));
  await vici.closed;
  assert.deepEqual(heard, ["first"]);
});

test("success = no is a response, and a fault for those who require success", async (context) => {
  const charon = await startScriptedCharon(context, (packet, peer) =>
    peer.respond(
      packet.name === "load-conn" ? { success: "no", errmsg: "invalid value" } : { success: "yes" },
    ),
  );
  const vici = await connectVici(charon.path);
  const refused = await vici.request("load-conn");
  assert.equal(textOf(refused, "success"), "no");
  assert.throws(
    () => requireSuccess("load-conn", refused),
    fault("refused", /^charon refused load-conn: invalid value$/),
  );
  const accepted = await vici.request("unload-conn");
  assert.equal(requireSuccess("unload-conn", accepted), accepted);
  assert.deepEqual(requireSuccess("version", {}), {});
  assert.throws(() => requireSuccess("x", { success: "" }), fault("refused", /no reason given/));
  vici.close();
});

test("a request that is not answered in time ends the connection and everything that waits", async (context) => {
  const charon = await startScriptedCharon(context, () => {});
  const vici = await connectVici(charon.path, { timeoutMs: 20 });
  const [late, queued, subscription] = await Promise.allSettled([
    vici.request("list-sas"),
    vici.request("version"),
    vici.subscribe("log", () => {}),
  ]);
  assert.ok(late.status === "rejected" && queued.status === "rejected" && subscription.status === "rejected");
  fault("timeout", /list-sas within 20 ms/)(late.reason);
  fault("closed", /before it could carry version: .*list-sas/)(queued.reason);
  fault("closed", /event-register log/)(subscription.reason);
  assert.equal(await vici.closed, late.reason);
  await assert.rejects(vici.request("version"), fault("closed"));
  assert.deepEqual(charon.heard, ["command-request list-sas"]);
});

test("a request's own time limit outdoes the connection's, and Infinity is no limit", async (context) => {
  const charon = await startScriptedCharon(context, (_packet, peer) => {
    setTimeout(() => peer.respond(), 60);
  });
  const patient = await connectVici(charon.path, { timeoutMs: 1 });
  await patient.request("initiate", {}, { timeoutMs: Number.POSITIVE_INFINITY });
  await patient.request("initiate", {}, { timeoutMs: 60_000 });
  await assert.rejects(patient.request("initiate"), fault("timeout", /within 1 ms/));
  const impatient = await connectVici(charon.path);
  await assert.rejects(impatient.request("initiate", {}, { timeoutMs: 5 }), fault("timeout", /within 5 ms/));
});

test("charon hanging up rejects all that is pending and settles closed with the reason", async (context) => {
  const charon = await startScriptedCharon(context, (packet, peer) => {
    if (packet.name !== "list-sas") return behave(packet, peer);
    peer.raise("list-sa", { name: "a" });
    peer.socket.end();
  });
  const vici = await connectVici(charon.path);
  const names: (string | undefined)[] = [];
  const reading = (async () => {
    for await (const message of vici.stream("list-sas", "list-sa")) names.push(textOf(message, "name"));
  })();
  await assert.rejects(reading, fault("closed", /charon closed/));
  assert.deepEqual(names, ["a"]);
  fault("closed", /charon closed/)(await vici.closed);
  await assert.rejects(
    vici.subscribe("log", () => {}),
    fault("closed"),
  );
});

test("close rejects all that is pending, and is no fault of the connection", async (context) => {
  const charon = await startScriptedCharon(context, (packet, peer) => {
    if (packet.type !== "command-request") behave(packet, peer);
  });
  const vici = await connectVici(charon.path);
  const unsubscribe = await vici.subscribe("log", () => {});
  const pending = Promise.allSettled([vici.request("version"), vici.request("stats")]);
  vici.close();
  vici.close();
  for (const result of await pending) {
    assert.ok(result.status === "rejected");
    fault("closed", /vici connection was closed/)(result.reason);
  }
  assert.equal(await vici.closed, undefined);
  await unsubscribe();
});

test("a request that cannot be encoded is refused without harm to the connection", async (context) => {
  const charon = await startScriptedCharon(context, behave);
  const vici = await connectVici(charon.path);
  await assert.rejects(vici.request("load-shared", { data: "canary".repeat(20_000) }), (error: Error) => {
    assert.doesNotMatch(String(error.stack), /canary/);
    return fault("unencodable")(error);
  });
  await assert.rejects(vici.request("zürich"), fault("unencodable", /zürich/));
  await assert.rejects(
    vici.subscribe("a\nb", () => {}),
    fault("unencodable"),
  );
  await vici.request("version");
  assert.deepEqual(charon.heard, ["command-request version"]);
  vici.close();
});

const frameOf = (...bytes: number[]): Buffer => encodeFrame(Buffer.from(bytes));

for (const [what, bytes, reason] of [
  ["a frame of 4 GiB", Buffer.from([255, 255, 255, 255]), /larger than 524288/],
  ["an empty packet", frameOf(), /empty vici packet/],
  ["an unknown packet type", frameOf(8), /packet type 8/],
  ["an event whose name is cut off", frameOf(7, 9), /cut off/],
  ["an event with a broken message", frameOf(7, 1, 0x65, 2), /event e: vici section ends that never started/],
  ["a response with a broken message", frameOf(1, 9), /response to version: unknown vici element 9/],
  ["a confirmation in answer to a command", frameOf(5), /event-confirm in answer to version/],
  ["a request", frameOf(0, 0), /command-request from charon/],
  ["two responses", Buffer.concat([frameOf(1), frameOf(1)]), /command-response that nobody asked for/],
] as const) {
  test(`charon sending ${what} ends the connection with a reason`, async (context) => {
    const charon = await startScriptedCharon(context, (packet, peer) =>
      packet.type === "command-request" ? peer.socket.write(bytes) : behave(packet, peer),
    );
    const vici = await connectVici(charon.path);
    await vici.subscribe("e", () => {});
    const request = vici.request("version");
    if (what === "two responses") {
      await request;
    } else {
      await assert.rejects(request, fault("protocol", reason));
    }
    fault("protocol", reason)(await vici.closed);
  });
}

test("where nobody listens the connection is refused with the system's reason", async (context) => {
  const directory = await mkdtemp(join(tmpdir(), "vici-"));
  context.after(() => rm(directory, { recursive: true }));
  const stale = join(directory, "stale.vici");
  await leaveStaleSocket(stale);
  for (const [path, code] of [
    [join(directory, "absent.vici"), "ENOENT"],
    [stale, "ECONNREFUSED"],
    [join(directory, "x".repeat(200)), "EINVAL"],
  ] as const) {
    await assert.rejects(connectVici(path), (error: Error) => {
      assert.equal((error.cause as NodeJS.ErrnoException).code, code);
      return fault("unreachable")(error);
    });
  }
});

test("with unref neither the connection nor a subscription nor a request under way keeps the process alive", async (context) => {
  const charon = await startScriptedCharon(context, (packet, peer) => {
    if (packet.type !== "command-request") behave(packet, peer);
  });
  const client = new URL("../../../src/vici/client.ts", import.meta.url).href;
  const program = `
    import { connectVici } from ${JSON.stringify(client)};
    const vici = await connectVici(${JSON.stringify(charon.path)}, { unref: true });
    const keepAlive = setTimeout(() => {}, 60_000);
    await vici.subscribe("log", () => {});
    clearTimeout(keepAlive);
    vici.request("version").catch(() => {});
  `;
  const { stderr } = await promisify(execFile)(
    process.execPath,
    ["--input-type=module-typescript", "-e", program],
    {
      timeout: 5_000,
    },
  );
  assert.equal(stderr, "");
});

/** A socket file whose listener was killed, as a charon that died leaves it. */
async function leaveStaleSocket(path: string): Promise<void> {
  const program = `require("node:net").createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, "SIGKILL"))`;
  await promisify(execFile)(process.execPath, ["-e", program]).catch(() => undefined);
}
