import process from "node:process";
import { createLab, type Lab } from "../test/support/lab.ts";
import { repository } from "../test/support/repository.ts";
import type { SiteProcess } from "../test/support/site-process.ts";
import { type Interruption, listenForInterruption } from "./interruption.ts";
import { openPage, type Page } from "./page.ts";
import { furnishSites, pingInClear, pingThroughTunnel, showAssociations, startGateways, stopGateways } from "./steps.ts";

/**
 * The main job, shown: two gateways of ours, a tunnel, packets. Ends with 0 only if every step was seen to happen.
 * `scripts/demo` installs what this needs and runs it as root.
 */
const demo = async (page: Page, interruption: Interruption, keep: boolean): Promise<void> => {
  page.title("vnf-ipsec: two sites, one tunnel");
  page.text(...picture);
  const lab = await createLab();
  const gateways: SiteProcess[] = [];
  try {
    await Promise.race([perform(page, lab, gateways, keep ? interruption : undefined), ...(keep ? [] : [interruption.asFault])]);
  } catch (error) {
    page.failure(error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error));
    showLogs(page, gateways);
    throw error;
  } finally {
    await lab.destroy();
  }
};

const perform = async (page: Page, lab: Lab, gateways: SiteProcess[], keepUntil: Interruption | undefined) => {
};
