import { isDeepStrictEqual } from "node:util";
import type { Lab } from "../test/support/lab.ts";
import { repository } from "../test/support/repository.ts";
import type { PingResult } from "../test/support/ping.ts";
import type { Site } from "../test/support/site.ts";
import type { SiteProcess } from "../test/support/site-process.ts";
import type { Snapshot } from "../test/support/snapshot.ts";
import { type Association, readAssociations } from "./association.ts";
import { watchNamespaces } from "./inhabitants.ts";
import type { Page } from "./page.ts";
import { classifyPackets, shortened } from "./wire.ts";

export type Gateways = { readonly moon: SiteProcess; readonly sun: SiteProcess };

/** Without a gateway everything is readable, which shows that the witness sees. */
export const pingInClear = async (page: Page, lab: Lab): Promise<void> => {
  page.step("Without a gateway: a ping from net to net, and a witness on the wire");
  const witness = await lab.captureWire("ip");
  requireAnswers("ping in clear", await lab.moon.ping(lab.sun.host, { count: 1 }), 1);
  const packets = await witness.stop();
  const { clear } = classifyPackets(packets);
  demand(clear.length === 2, `the witness saw ${clear.length} packets in clear instead of 2`);
  page.quote(...clear.map(shortened));
  page.seen(`the witness reads who talks to whom: ${clear.length} packets in clear`);
};

export const startGateways = async (page: Page, lab: Lab, started: (gateway: SiteProcess) => void): Promise<Gateways> => {
  page.step("A gateway at each site");
  const start = (site: Site) => {
    page.command(`ENVFILE=demo/${site.name}.env vnf-ipsec run`);
    const gateway = site.gateway({ ENVFILE: `${repository}/demo/${site.name}.env`, IPSEC_DATAPLANE: "auto" });
    started(gateway);
    return gateway;
  };
  // sun only answers, so it is to be there first.
  const sun = start(lab.sun);
  await sun.waitForRecord(({ event }) => event === "ready");
  const moon = start(lab.moon);
  const dataPlane = await moon.waitForRecord(({ event }) => event === "dataplane");
  await moon.waitForRecord(({ event }) => event === "ready");
  page.seen("both are ready: charon answers and has loaded its connection");
  page.seen(`data plane: ${dataPlane.message}${reasonOf(dataPlane.reason)}`);
  return { moon, sun };
};

export const awaitTunnel = async (page: Page, { moon, sun }: Gateways): Promise<void> => {
  page.step("The tunnel");
  const established = /CHILD_SA \S+ established with SPIs \S+ \S+ and TS [^"]+/;
  const [[line]] = await Promise.all([moon.waitForOutput(established), sun.waitForOutput(established)]);
  page.quote(line);
  page.seen("established, says charon at either end");
};
