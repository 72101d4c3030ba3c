import assert from "node:assert/strict";
import { test } from "node:test";
import { buildGateway } from "../../../src/gateway/from-settings.ts";
import { removeKernelLeftovers } from "../../../src/host/kernel-leftovers.ts";
import { pasteable } from "../../../src/host/step.ts";
import { createLog } from "../../../src/observe/log.ts";
import { parseSettings } from "../../../src/settings/parse-settings.ts";
import { environmentOf, minimal } from "../../support/environment-of.ts";

/** As iproute2 6.1 prints what charon installed for an XFRM interface. */
const policies = `src 0.0.0.0/0 dst 0.0.0.0/0 
\tdir out priority 399999 ptype main 
\ttmpl src 192.0.2.1 dst 192.0.2.2
\t\tproto esp spi 0xcc70e97f reqid 1 mode tunnel
\tif_id 0x2a
src 0.0.0.0/0 dst 0.0.0.0/0 
\tsocket in priority 0 ptype main 
`;

test("a policy of an XFRM interface is deleted by its identifier too, without which there is none", async () => {
  const { settings } = parseSettings(
    environmentOf({
      ...minimal,
      ...{ IPSEC_BACKEND: "swanctl", IPSEC_XFRM_IF_ID: "42" },
      ...{ IPSEC_LOCALNET: "0.0.0.0/0", IPSEC_REMOTENET: "0.0.0.0/0" },
    }),
    "gateway",
  );
  const ran: string[] = [];
  await removeKernelLeftovers(buildGateway(settings ?? assert.fail()), {
    log: await createLog({
      ...{ level: "silent", format: "json", destination: { write: () => {} }, secrets: () => [] },
    }),
    runProgram: async (argv) => {
      const command = pasteable(argv);
      if (/delete/.test(command)) ran.push(command);
      return { exitCode: 0, stdout: command === "ip xfrm policy" ? policies : "", stderr: "" };
    },
  });
  assert.deepEqual(ran, [
    "ip xfrm policy delete src 0.0.0.0/0 dst 0.0.0.0/0 dir out if_id 0x2a",
    "ip xfrm state deleteall src 192.0.2.1 dst 192.0.2.2 proto esp reqid 1",
  ]);
});
