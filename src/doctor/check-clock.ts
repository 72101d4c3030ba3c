import { existsSync } from "node:fs";
import type { RunProgram } from "../host/run-program.ts";
import { type CheckResult, result } from "./check-result.ts";

/** Certificates, and logs of two ends, want a clock that is right. `now` is in milliseconds since 1970. */
export const checkClock = async (now: number, runProgram: RunProgram): Promise<readonly CheckResult[]> => {
  const date = new Date(now).toISOString().slice(0, 10);
  const year = new Date(now).getUTCFullYear();
  if (year < earliestYear || year > latestYear) {
    return [
      result("clock", "warning", `the clock says ${date}, which cannot be`, {
        hint: "set it, and have it kept: timedatectl set-ntp true on the host",
      }),
    ];
  }
  switch (await isSynchronised(runProgram)) {
    case true:
      return [result("clock", "ok", `the clock says ${date} and is synchronised`)];
    case false:
      return [
        result("clock", "warning", `the clock says ${date} and nothing keeps it right`, {
          hint: "timedatectl set-ntp true",
        }),
      ];
    case undefined:
      return [
        result("clock", "ok", `the clock says ${date}; whether something keeps it right is not known here`),
      ];
  }
};

/** This program is not older, and nobody will run it as late. */
const earliestYear = 2026;
const latestYear = 2100;

/** By systemd-timesyncd's mark or systemd's word; undefined where there is neither, as in a container. */
const isSynchronised = async (runProgram: RunProgram): Promise<boolean | undefined> => {
  if (existsSync("/run/systemd/timesync/synchronized")) return true;
  if (!existsSync("/run/systemd/system")) return undefined;
  const { exitCode, stdout } = await runProgram(["timedatectl", "show", "-p", "NTPSynchronized", "--value"]);
  return exitCode === 0 && /^(?:yes|no)$/.test(stdout) ? stdout === "yes" : undefined;
};
