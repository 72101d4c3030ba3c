import type { RunProgram } from "../host/run-program.ts";
import { type PlannedGateway, planGateway } from "./planned-gateway.ts";

/** The next plan, but with these connections as the previous one has them, or without them if it has none. */
export const keepFormer = (
  previous: PlannedGateway,
  next: PlannedGateway,
  names: ReadonlySet<string>,
  runProgram: RunProgram,
): Promise<PlannedGateway> => {
  const settings = {
    gateway: next.settings.gateway,
    tunnels: mixed(previous.settings.tunnels, next.settings.tunnels, names),
    connections: mixed(previous.settings.connections, next.settings.connections, names),
  };
  return planGateway(settings, next.dataplane, runProgram);
};

const mixed = <Named extends { readonly IPSEC_NAME: string }>(
  previous: readonly Named[],
  next: readonly Named[],
  names: ReadonlySet<string>,
): readonly Named[] =>
  next.flatMap((one) =>
    names.has(one.IPSEC_NAME) ? previous.filter((former) => former.IPSEC_NAME === one.IPSEC_NAME) : [one],
  );
