import assert from "node:assert/strict";
import { test } from "node:test";
import { buildGateway } from "../../../src/gateway/from-settings.ts";
import { removeKernelLeftovers } from "../../../src/host/kernel-leftovers.ts";
import { pasteable } from "../../../src/host/step.ts";
import { createLog } from "../../../src/observe/log.ts";
import { parseSettings } from "../../../src/settings/parse-settings.ts";
import { environmentOf, minimal } from "../../support/environment-of.ts";

/** The commands by which it removes something where the kernel has these policies. */
const removed = async (
  changes: Readonly<Record<string, string>>,
  policies: string,
): Promise<readonly string[]> => {
  const { settings, errors } = parseSettings(environmentOf({ ...minimal, ...changes }), "gateway");
  assert.deepEqual(errors, []);
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
  return ran;
};

/** As iproute2 6.1 prints a policy that an IKE daemon has installed. */
const policy = (networks: string, reqid: number, ...ties: readonly string[]): string =>
  [
    `${networks} `,
    "\tdir out priority 399999 ptype main ",
    ...ties.filter((tie) => tie.startsWith("mark")).map((tie) => `\t${tie} `),
    "\ttmpl src 192.0.2.1 dst 192.0.2.2",
    `\t\tproto esp spi 0xcc70e97f reqid ${reqid} mode tunnel`,
    ...ties.filter((tie) => tie.startsWith("if_id")).map((tie) => `\t${tie}`),
    "",
  ].join("\n");

const everything = "src 0.0.0.0/0 dst 0.0.0.0/0";
const state = (reqid: number) =>
  `ip xfrm state deleteall src 192.0.2.1 dst 192.0.2.2 proto esp reqid ${reqid}`;

/** What there is of everybody: with no tie, with a mark as of Cilium, of a VTI, of XFRM interfaces, and of a socket. */
const ofEverybody = [
  policy(everything, 1),
  policy(everything, 2, "mark 0xd00/0xf00"),
  policy(everything, 3, "mark 0x2a/0xffffffff"),
  policy(everything, 4, "if_id 0x2a"),
  policy(everything, 5, "if_id 0x2b"),
  policy("src 10.1.0.0/24 dst 10.2.0.0/24", 6),
  policy("src 10.1.0.0/24 dst 10.2.0.0/24", 7, "mark 0xd00/0xf00"),
  policy("src 10.8.0.0/24 dst 10.2.0.0/24", 8),
  `${everything} \n\tsocket in priority 0 ptype main \n`,
].join("");

test("of the policies of everybody those of an XFRM interface are told by its identifier, those of a VTI by the mark", async () => {
  const networks = { IPSEC_LOCALNET: "0.0.0.0/0", IPSEC_REMOTENET: "0.0.0.0/0" };
  const xfrm = { ...networks, IPSEC_BACKEND: "swanctl", IPSEC_XFRM_IF_ID: "42" };
  assert.deepEqual(await removed(xfrm, ofEverybody), [
    `ip xfrm policy delete ${everything} dir out if_id 0x2a`,
    state(4),
  ]);
  assert.deepEqual(await removed({ ...networks, IPSEC_VTI_KEY: "42" }, ofEverybody), [
    `ip xfrm policy delete ${everything} dir out mark 0x2a mask 0xffffffff`,
    state(3),
  ]);
});

test("those without a virtual interface have neither, and are not of everything", async () => {
  const networks = { IPSEC_LOCALNET: "10.1.0.0/16", IPSEC_REMOTENET: "10.2.0.0/16" };
  assert.deepEqual(await removed(networks, ofEverybody), [
    "ip xfrm policy delete src 10.1.0.0/24 dst 10.2.0.0/24 dir out",
    state(6),
  ]);
  const narrowed = policy("src 10.0.0.0/8 dst 10.2.0.0/15", 1);
  assert.equal((await removed(networks, narrowed)).length, 2, "of a former environment");
});
