import type { RunProgram } from "../host/run-program.ts";

/** Which way the kernel sends a packet, or its words when it cannot. */
export type RouteAnswer =
  | { readonly ok: true; readonly device: string; readonly isOwn: boolean; readonly gateway?: string }
  | { readonly ok: false; readonly reason: string };

/** Asks `ip route get` (ip-route(8)), policy rules included. */
export const lookUpRoute = async (
  destination: string,
  source: string | undefined,
  runProgram: RunProgram,
): Promise<RouteAnswer> => {
  const { exitCode, stdout, stderr } = await runProgram([
    ...(["ip", "-json", "route", "get", destination] as const),
    ...(source === undefined ? [] : ["from", source]),
  ]);
  const [route] = exitCode === 0 && stdout !== "" ? (JSON.parse(stdout) as readonly IpRoute[]) : [];
  if (route?.dev === undefined)
    return { ok: false, reason: stderr.trim().replace(/^RTNETLINK answers: /, "") || "no route" };
  return {
    ok: true,
    device: route.dev,
    isOwn: route.type === "local",
    ...(route.gateway === undefined ? {} : { gateway: route.gateway }),
  };
};

type IpRoute = { readonly type?: string; readonly dev?: string; readonly gateway?: string };
