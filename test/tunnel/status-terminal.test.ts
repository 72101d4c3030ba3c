import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { stripVTControlCharacters, styleText } from "node:util";
import { isShownReady } from "../support/ask-gateway.ts";
import { commandWords, searchPath } from "../support/command.ts";
import { createLab, type Lab } from "../support/lab.ts";
import type { Argv } from "../support/namespace.ts";
import { isReady, stop, tunnelEnvironment, tunnelPsk } from "../support/our-gateway.ts";
import type { Environment } from "../support/site-process.ts";
import { waitFor } from "../support/wait-for.ts";

const psk = Buffer.from(tunnelPsk);

/** script(1) gives the command a terminal of its own, of 80 columns and 24 rows, and ends with its exit code. */
const inTerminal = (words: readonly string[]): Argv => [
  ...(["script", "--quiet", "--return", "--command"] as const),
  `stty cols 80 rows 24; echo $$ > /run/shown.pid; exec ${[...commandWords(), ...words].join(" ")}`,
  "/dev/null",
];

const anyStream = { validateStream: false };

const terminal: Environment = { PATH: searchPath, TERM: "xterm-256color" };

const shown = async (lab: Lab, environment: Environment = terminal): Promise<string> =>
  (await lab.moon.run(inTerminal(["status"]), { env: environment })).replaceAll("\r\n", "\n");

/** What differs from run to run, as long as it was, so that the columns stay. */
const still = (text: string): string =>
  text
    .replace(/\d+ (?:s|min|h|d)\b(?: \d+ (?:s|min|h)\b)?/g, "<time>")
    .replace(/(strongSwan) \S+/, "$1 <version>")
    .replace(/(vnf-ipsec) [\d.]+/, "$1 <version>")
    .replace("ESP in the kernel", "ESP in user space");

const widest = (text: string): number =>
  Math.max(
    ...stripVTControlCharacters(text)
      .split("\n")
      .map((line) => line.length),
  );

test("status in a terminal of 80 columns: a tunnel that is up, in colours unless NO_COLOR forbids them", async () => {
  await using lab = await createLab();
  await lab.sun.peer({ connections: [{ psk }] });
  const moon = lab.moon.gateway(tunnelEnvironment(lab.moon, lab.sun, { IPSEC_START: "start" }));
  await isReady(moon);
  await isShownReady(lab.moon);
  await lab.moon.ping(lab.sun.host, { count: 3 });
  const plain = await shown(lab, { ...terminal, NO_COLOR: "1" });
  assert.equal(
    still(plain),
    `vnf-ipsec <version>, up <time>; ESP in user space
strongSwan <version> running for <time>
ready

site  up
  ends           192.0.2.1:4500 - 192.0.2.2:4500 (NAT, or UDP forced)
  ike            IKEv2 as initiator, AES_GCM_16-192/PRF_HMAC_SHA2_256/ECP_256,
                 authenticates again in <time>, last handshake <time> ago
  tunnel         up for <time>
  from           10.1.0.0/24
  to             10.2.0.0/24
  in             252 B in 3 packets, last <time> ago
  out            252 B in 3 packets, last <time> ago
  esp            AES_GCM_16-192, in UDP, new keys in <time>
`,
  );
  const coloured = await shown(lab);
  assert.ok(coloured.includes(styleText("green", "up", anyStream)), coloured);
  assert.equal(still(stripVTControlCharacters(coloured)), still(plain));
  assert.ok(widest(plain) <= 80, plain);
  assert.equal(await stop(moon), 0);
});

test("status in a terminal of 80 columns: a failure, with what the two ends propose", async () => {
  await using lab = await createLab();
  await lab.sun.peer({ connections: [{ psk, proposals: "aes256gcm16-prfsha384-ecp384" }] });
  const moon = lab.moon.gateway(tunnelEnvironment(lab.moon, lab.sun, { IPSEC_START: "add" }));
  await isReady(moon);
  await lab.sun.exec(["swanctl", "--initiate", "--child", "site", "--timeout", "1"]);
  await moon.waitForRecord(({ event }) => event === "diagnosis");
  const text = await shown(lab);
  assert.equal(
    still(stripVTControlCharacters(text)),
    `vnf-ipsec <version>, up <time>; ESP in user space
strongSwan <version> running for <time>
not ready
                 site to 192.0.2.2 is waiting for the peer:
                 ike-proposal-mismatch: the peer offers no IKE proposal that we
                 accept (IPSEC_IKECIPHER)

site  waiting for the peer
  ends           192.0.2.1 - 192.0.2.2
  tunnel         waiting for the peer
  from           10.1.0.0/24
  to             10.2.0.0/24

site: ike-proposal-mismatch, since <time>
                 the peer offers no IKE proposal that we accept
  look at        IPSEC_IKECIPHER
  received       IKE:AES_GCM_16_256/PRF_HMAC_SHA2_384/ECP_384
  configured     IKE:AES_GCM_16_192/AES_GCM_16_128/PRF_HMAC_SHA2_256/ECP_256/
                 ECP_521,
                 IKE:AES_CBC_192/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/MODP_3072
  remedy         set IPSEC_IKECIPHER to something that the peer offers, or
                 change the peer
`,
  );
  assert.ok(text.includes(styleText("red", "ike-proposal-mismatch", anyStream)), text);
  assert.ok(widest(text) <= 80, text);
  assert.equal(await stop(moon), 0);
});

test("status --watch draws anew over what it drew, follows what happens, and ends with 0 at SIGINT", async () => {
  await using lab = await createLab();
  const moon = lab.moon.gateway(tunnelEnvironment(lab.moon, lab.sun, { IPSEC_START: "add" }));
  await isReady(moon);
  const watching = lab.moon.spawn(inTerminal(["status", "--watch"]), { env: terminal });
  const screens = () => watching.output().split("\u001b[H\u001b[J").slice(1);
  await waitFor("two screens", () => (screens().length >= 2 ? true : undefined));
  assert.match(screens()[0] ?? "", /waiting for the peer/);
  await lab.sun.peer({ connections: [{ psk, startAction: "start" }] });
  await waitFor("the tunnel to be shown", () =>
    /^site {2}up/m.test(stripVTControlCharacters(screens().at(-1) ?? "")) ? true : undefined,
  );
  const pid = Number(await lab.moon.readFile("/run/shown.pid"));
  process.kill(pid, "SIGINT");
  assert.deepEqual(await watching.exited, { exitCode: 0, signal: null });
  assert.equal(await stop(moon), 0);
});

test("status --watch without a terminal prints one status after the other, with --json one a line", async () => {
  await using lab = await createLab();
  const moon = lab.moon.gateway(tunnelEnvironment(lab.moon, lab.sun, { IPSEC_START: "add" }));
  await isReady(moon);
  const watch = (...options: readonly string[]) =>
    lab.moon.spawn([...commandWords(), "status", "--watch", ...options], { env: { PATH: searchPath } });
  const text = watch();
  const json = watch("--json");
  await text.waitForOutput(/^vnf-ipsec .*^vnf-ipsec /ms);
  assert.equal(text.output(), stripVTControlCharacters(text.output()));
  await waitFor("two records", () => (json.records().length >= 2 ? true : undefined));
  for (const { version, ready } of json.records()) assert.deepEqual([version, ready], [1, true]);
  for (const one of [text, json]) {
    one.signal("SIGINT");
    assert.deepEqual(await one.exited, { exitCode: 0, signal: null });
  }
  assert.equal(await stop(moon), 0);
});
