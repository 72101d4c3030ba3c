import assert from "node:assert/strict";
import { test } from "node:test";
import { stripVTControlCharacters } from "node:util";
import { parseCharonLine } from "../../../src/observe/charon-line.ts";
import { createDiagnostician } from "../../../src/observe/diagnostician.ts";
import { charonRecord, createLog, type Log, type LogOptions } from "../../../src/observe/log.ts";
import { type Secret, secret } from "../../../src/secret.ts";

const canary = 'correct "horse"\tbattery';
const secrets: readonly Secret[] = [secret(Buffer.from(canary))];

const record = async (options: Partial<LogOptions>, use: (log: Log) => void): Promise<string> => {
  let text = "";
  const destination = { write: (line: string) => (text += line) };
  const log = await createLog({
    level: "trace",
    format: "json",
    destination,
    secrets: () => secrets,
    ...options,
  });
  use(log);
  return text;
};

test("a record is one line of JSON with time, level as a word, fields and message", async () => {
  const text = await record({}, (log) => log.warn({ connection: "site" }, "tunnel down"));
  assert.equal(text.split("\n").length, 2);
  const { time, ...rest } = JSON.parse(text);
  assert.match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  assert.deepEqual(rest, { level: "warn", connection: "site", message: "tunnel down" });
});

test("records below the level are not written", async () => {
  assert.equal(await record({ level: "info" }, (log) => log.debug("x")), "");
  assert.equal(await record({ level: "silent" }, (log) => log.fatal("x")), "");
});

for (const format of ["json", "pretty"] as const)
  test(`no secret appears in ${format}, wherever it was logged`, async () => {
    const bytes = Buffer.from(canary);
    const text = await record({ format }, (log) => {
      log.info(`message ${canary}`);
      log.info({ value: canary, nested: { [canary]: [canary] } }, "fields");
      log.error(new Error(`failed with ${canary}`));
      log.info({ text: JSON.stringify({ canary }) }, "twice escaped");
      log.child({ bound: canary }).info("child");
      for (const encoding of ["base64", "hex"] as const)
        log.info({ value: bytes.toString(encoding) }, bytes.toString(encoding).toUpperCase());
    });
    assert.doesNotMatch(text, /horse|battery/);
    for (const encoding of ["base64", "hex"] as const)
      assert.ok(!text.includes(bytes.toString(encoding).replace(/=+$/, "")));
    assert.ok(text.includes("***"));
    if (format === "json") for (const line of text.trimEnd().split("\n")) JSON.parse(line);
  });

test("a line of charon keeps its words, and its prefix becomes fields", async () => {
  const line = parseCharonLine("12[IKE1] <site|7> received DELETE for IKE_SA site[7]");
  const { level, fields, message } = charonRecord(line);
  const text = await record({}, (log) => log[level](fields, message));
  const { time: _, ...rest } = JSON.parse(text);
  assert.deepEqual(rest, {
    level: "info",
    program: "charon",
    group: "IKE",
    thread: 12,
    connection: "site",
    saId: 7,
    message: "received DELETE for IKE_SA site[7]",
  });
});

test("charon's levels become ours", () => {
  const levels = [0, 1, 2, 3, 4].map((level) => charonRecord(parseCharonLine(`01[IKE${level}] x`)).level);
  assert.deepEqual(levels, ["info", "info", "debug", "trace", "trace"]);
  assert.equal(charonRecord(parseCharonLine("ipsec starter stopped")).level, "info");
});

test("the line that begins a failure carries its cause, variables, both ends' values and a hint", () => {
  const diagnostician = createDiagnostician();
  const lines = [
    "09[CFG1] <1> received proposals: IKE:AES_CBC_256/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/MODP_2048",
    "09[CFG1] <1> configured proposals: IKE:AES_CBC_128/HMAC_SHA2_384_192/PRF_HMAC_SHA2_384/ECP_256",
    "09[IKE1] <1> received proposals unacceptable",
  ].map(parseCharonLine);
  const records = lines.map((line) => charonRecord(line, diagnostician.observe(line)));
  assert.deepEqual(
    records.map(({ level }) => level),
    ["info", "info", "error"],
  );
  const { cause, variables, hint, values, event } = records[2]?.fields ?? {};
  assert.deepEqual([cause, variables, event], ["ike-proposal-mismatch", ["IPSEC_IKECIPHER"], "diagnosis"]);
  assert.match(String(hint), /IPSEC_IKECIPHER/);
  assert.deepEqual(values, {
    received: "IKE:AES_CBC_256/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/MODP_2048",
    configured: "IKE:AES_CBC_128/HMAC_SHA2_384_192/PRF_HMAC_SHA2_384/ECP_256",
  });
});

test("what charon mends by itself is no error", () => {
  const line = parseCharonLine("10[IKE1] <1> DH group MODP_2048 unacceptable, requesting ECP_256");
  assert.equal(charonRecord(line, createDiagnostician().observe(line)).level, "info");
});

test("pretty shows a failure with its cause, variables and hint below it, and no escape unless asked for colour", async () => {
  const line = parseCharonLine("12[IKE1] <site|1> received AUTHENTICATION_FAILED notify error");
  const { level, fields, message } = charonRecord(line, createDiagnostician().observe(line));
  const plain = await record({ format: "pretty" }, (log) => log[level](fields, message));
  assert.match(
    plain,
    /^\[\d\d:\d\d:\d\d\.\d{3}\] ERROR: IKE site: received AUTHENTICATION_FAILED notify error\n {4}authentication-failed \(IPSEC_PSK, IPSEC_LOCALID, IPSEC_REMOTEID, IPSEC_AUTH\): .*\n {4}hint: .*\n$/,
  );
  assert.equal(stripVTControlCharacters(plain), plain);
  const coloured = await record({ format: "pretty", colour: true }, (log) => log[level](fields, message));
  assert.notEqual(stripVTControlCharacters(coloured), coloured);
});

test("pretty shows the fields and the hint of our own records", async () => {
  const text = await record({ format: "pretty" }, (log) =>
    log.info({ argv: ["ip", "link"], hint: "load it" }, "load kernel module"),
  );
  assert.match(text, /load kernel module\n {4}hint: load it {"argv":\["ip","link"\]}\n$/);
});

test("pretty lets no control character of a message reach the terminal", async () => {
  const text = await record({ format: "pretty" }, (log) => log.info("a\u001b[2Jb\u0007c\u009bd"));
  assert.match(text, /a\?\[2Jb\?c\?d\n$/);
});
