import assert from "node:assert/strict";
import { test } from "node:test";
import { ask, command, isShownReady, readinessOf } from "../support/ask-gateway.ts";
import { formsOfCanary } from "../support/hostile-environment.ts";
import { createLab } from "../support/lab.ts";
import { isReady, stop, tunnelEnvironment } from "../support/our-gateway.ts";
import { peerConf } from "../support/peer-conf.ts";

const canary = "cAnArY.0123456789.abcdef";

test("the key is in no status, answer or log, not even where a peer calls itself by it, and DEBUG shows all", async () => {
  await using lab = await createLab();
  const psk = Buffer.from(canary);
  const sun = await lab.sun.peer({ connections: [{ psk, localId: canary }] });
  const moon = lab.moon.gateway(
    tunnelEnvironment(lab.moon, lab.sun, { IPSEC_PSK: canary, IPSEC_START: "add", DEBUG: "yes" }),
  );
  const all = async (): Promise<Readonly<Record<string, string>>> => {
    const shown: Record<string, string> = {};
    for (const args of [["status"], ["status", "--json"], ["healthcheck", "--ready"]]) {
      const { stdout, stderr } = await command(lab.moon, ...args);
      shown[args.join(" ")] = stdout + stderr;
    }
    for (const path of ["/livez", "/readyz", "/metrics", "/status"])
      shown[path] = (await ask(lab.moon, path)).body;
    return { ...shown, log: moon.output() };
  };
  const assertHidden = (shown: Readonly<Record<string, string>>): void => {
    for (const [place, text] of Object.entries(shown)) {
      assert.ok(text.length > 0, place);
      for (const form of formsOfCanary(canary)) assert.ok(!text.includes(form), `${place}: ${text}`);
    }
  };
  await isReady(moon);
  await lab.sun.exec(["swanctl", "--initiate", "--child", "site", "--timeout", "1"]);
  await moon.waitForRecord(({ cause }) => cause === "identity-mismatch");
  const failing = await all();
  assertHidden(failing);
  // It was there to be hidden.
  assert.equal((await readinessOf(lab.moon)).failures[0]?.values["remoteId"], "***");
  assert.match(failing["status"] ?? "", /remote id +\*\*\*/);

  await sun.load(peerConf(lab, { psk }));
  await lab.sun.exec(["swanctl", "--initiate", "--child", "site", "--timeout", "5"]);
  await isShownReady(lab.moon);
  assertHidden(await all());
  assert.equal(await stop(moon), 0);
  assertHidden({ log: moon.output() });
});
