import { readFileSync } from "node:fs";
import type { Backend } from "../backend/backend.ts";
import { requireFreePorts } from "../daemon/charon.ts";
import { runningDaemon } from "../daemon/stale.ts";
import { boundUdpPorts, ikePorts } from "../daemon/udp-ports.ts";
import { Failure } from "../failure.ts";
import type { Dataplane } from "../gateway/dataplane.ts";
import { missingCapabilities } from "../host/capabilities.ts";
import { chooseDataplane } from "../host/choose-dataplane.ts";
import { checkHost, readSysctl } from "../host/host-checks.ts";
import { requireIncludes } from "../host/require-includes.ts";
import { requirePrograms } from "../host/require-programs.ts";
import type { RunProgram } from "../host/run-program.ts";
import type { AddressFamily } from "../ipsec/address.ts";
import { attempted, type CheckResult, ofProblems, result } from "./check-result.ts";

/** What `run` asks of the machine before it starts. */
export const checkCapabilities = (): readonly CheckResult[] => {
  const missing = missingCapabilities(readFileSync("/proc/self/status", "utf8"), [
    "NET_ADMIN",
    "NET_BIND_SERVICE",
  ]);
  if (missing.length > 0) return ofProblems("capabilities", "failure", missing);
  return [result("capabilities", "ok", "NET_ADMIN and NET_BIND_SERVICE are there")];
};

export const checkPrograms = (
  searchPath: string | undefined,
  daemon: Backend["daemon"],
): Promise<readonly CheckResult[]> =>
  attempted("programs", () => {
    requirePrograms(searchPath, daemon);
    return [result("programs", "ok", "strongSwan and iproute2 are installed")];
  });

export const checkIncludes = (): Promise<readonly CheckResult[]> =>
  attempted("includes", () => {
    requireIncludes();
    return [result("includes", "ok", "/etc/ipsec.conf and /etc/ipsec.secrets include what is rendered")];
  });

/** Tries the kernel with an ESP SA that vanishes at once, as `run` does. */
export const checkDataplane = (
  wanted: Dataplane | "auto",
  needsKernel: string | undefined,
  runProgram: RunProgram,
): Promise<readonly CheckResult[]> =>
  attempted("dataplane", async () => {
    const { dataplane, reason } = await chooseDataplane(wanted, needsKernel, runProgram);
    const details = { dataplane };
    if (reason === undefined)
      return [
        result("dataplane", "ok", `ESP runs in ${dataplane === "kernel" ? "the kernel" : "user space"}`, {
          details,
        }),
      ];
    return [
      result("dataplane", "warning", `the kernel has no ESP (${reason}), so it runs in user space`, {
        hint: "slower, but it needs no kernel support; load the module esp4 for ESP in the kernel",
        details,
      }),
    ];
  });

export const checkSysctls = (families: ReadonlySet<AddressFamily>): readonly CheckResult[] => {
  const problems = checkHost(readSysctl, families);
  if (problems.length > 0) return ofProblems("sysctls", "warning", problems);
  return [result("sysctls", "ok", "forwarding is on, and no sysctl is known to lose packets")];
};

/** `runs` is whether a gateway of ours runs here: its charon must have the ports, and else nobody. */
export const checkPorts = (runs: boolean): Promise<readonly CheckResult[]> =>
  attempted("ports", () => {
    if (!runs) return checkFreePorts();
    const bound = boundUdpPorts();
    const missing = ikePorts.filter((port) => !bound.has(port));
    if (missing.length === 0) return [result("ports", "ok", "UDP 500 and 4500 are bound")];
    return [
      result("ports", "failure", `nobody has UDP port ${missing.join(" and ")}, though the gateway runs`, {
        hint: "look for the socket error at charon's start in the gateway's log; IPSEC_MANUAL_CHARON may move the ports",
      }),
    ];
  });

const checkFreePorts = (): readonly CheckResult[] => {
  const pid = runningDaemon();
  try {
    requireFreePorts();
  } catch (error) {
    if (!(error instanceof Failure) || pid === undefined) throw error;
    return [
      result("ports", "failure", `${error.message}, by a charon that is not ours (process ${pid})`, {
        hint: "stop it: two IKE daemons cannot share them; on Debian: systemctl disable --now strongswan-starter",
      }),
    ];
  }
  return [result("ports", "ok", "UDP 500 and 4500 are free")];
};
