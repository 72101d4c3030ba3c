import assert from "node:assert/strict";
import { test } from "node:test";
import { buildGateway } from "../../../src/gateway/from-settings.ts";
import { listAwaitedTunnels } from "../../../src/host/awaited-tunnels.ts";
import { parseSettings } from "../../../src/settings/parse-settings.ts";
import { environmentOf, minimal } from "../../support/environment-of.ts";

/** As iproute2 6.1 shows what Linux 6.1 had asked a charon that was stopped then. */
const larval = `src 192.0.2.1 dst 192.0.2.2
	proto esp spi 0x00000000 reqid 1 mode tunnel
	replay-window 0 
	anti-replay context: seq 0x0, oseq 0x0, bitmap 0x00000000
	sel src 10.1.0.1/32 dst 10.2.0.1/32 proto icmp type 8 code 0 dev eth0 
`;

const awaited = (states: string, changes: Readonly<Record<string, string>> = {}) => {
  const variables = { ...minimal, IPSEC_LOCALNET: "10.1.0.0/24", IPSEC_REMOTENET: "10.2.0.0/24", ...changes };
  const { settings } = parseSettings(environmentOf(variables), "gateway");
  return listAwaitedTunnels(buildGateway(settings ?? assert.fail()), async () => ({
    exitCode: 0,
    stdout: states,
    stderr: "",
  }));
};

test("a tunnel that the kernel has asked for in vain is awaited", async () => {
  assert.deepEqual(await awaited(larval), ["site"]);
  assert.deepEqual(await awaited(larval, { IPSEC_REMOTENET: "10.3.0.0/24,10.2.0.0/30" }), ["site"]);
});

test("an SA, a question of others, and a tunnel that does not wait for packets are not", async () => {
  assert.deepEqual(await awaited(""), []);
  assert.deepEqual(await awaited(larval.replace("0x00000000", "0xc0ffee00")), []);
  assert.deepEqual(await awaited(larval.replace("dst 10.2.0.1/32", "dst 10.9.0.1/32")), []);
  assert.deepEqual(await awaited(larval, { IPSEC_START: "start" }), []);
});
