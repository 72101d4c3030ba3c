import { lookup } from "node:dns/promises";
import { setTimeout as sleep } from "node:timers/promises";
import type { RunProgram } from "../host/run-program.ts";
import type { Address, Endpoint } from "../ipsec/address.ts";
import { type CheckResult, result } from "./check-result.ts";
import type { Link } from "./list-links.ts";
import { lookUpRoute } from "./look-up-route.ts";

export type PeerRequest = {
  readonly local: Endpoint;
  readonly remote: Endpoint;
  /** IPSEC_INTERFACES; empty for all. */
  readonly interfaces: readonly string[];
  /** What the operator knows the ends by: variables, or parameters of ipsec.conf(5). */
  readonly names: { readonly local: string; readonly remote: string };
};

export type PeerFindings = {
  readonly results: readonly CheckResult[];
  /** The first of the peer's addresses, and the interface by which it is reached. */
  readonly remote?: Address;
  readonly device?: string;
};

/** Whether the peer has an address, and the kernel a way there from an address of this host. */
export const checkPeer = async (
  { local, remote, interfaces, names }: PeerRequest,
  links: readonly Link[],
  runProgram: RunProgram,
): Promise<PeerFindings> => {
  const ownAddress = checkLocalAddress(local, names.local, links);
  const resolved = await resolve(remote, names.remote);
  const { address } = resolved;
  if (address === undefined) return { results: [...resolved.results, ...ownAddress] };
  const source =
    local.kind === "address" && ownAddress.every(({ verdict }) => verdict === "ok")
      ? local.address.text
      : undefined;
  const route = await lookUpRoute(address.text, source, runProgram);
  const results = [...resolved.results, ...ownAddress];
  if (!route.ok) {
    const from = source === undefined ? "" : ` from ${source}`;
    const message = `the kernel has no way to the peer ${address.text}${from}: ${route.reason}`;
    const hint = `add a route, or correct ${names.remote}; look at: ip route get ${address.text}${from}`;
    return { results: [...results, result("route", "failure", message, { hint })], remote: address };
  }
  return {
    results: [...results, judgeRoute(address, route, interfaces, names.remote)],
    remote: address,
    device: route.device,
  };
};

const resolve = async (
  remote: Endpoint,
  variable: string,
): Promise<{ readonly results: readonly CheckResult[]; readonly address?: Address }> => {
  switch (remote.kind) {
    case "address":
      return { results: [], address: remote.address };
    case "any": {
      const message = `${variable} is %any: the peer calls from anywhere, so there is no way to it to look at`;
      return { results: [result("route", "skipped", message)] };
    }
    case "name":
      return await resolveName(remote.name, variable);
    default:
      return remote satisfies never;
  }
};

/** By the same means as charon: getaddrinfo(3). */
const resolveName = async (name: string, variable: string): ReturnType<typeof resolve> => {
  const late = sleep(resolveMilliseconds, "no answer within 2 s" as const, { ref: false });
  const answer = await Promise.race([
    lookup(name, { all: true }).catch((error: NodeJS.ErrnoException) => error.code ?? error.message),
    late,
  ]);
  if (typeof answer !== "string" && answer[0] !== undefined) {
    const found = answer.map(({ address }) => address).join(", ");
    return {
      results: [result("peer-name", "ok", `${name} is ${found}`)],
      address: { family: answer[0].family === 6 ? "ipv6" : "ipv4", text: answer[0].address },
    };
  }
  const reason = typeof answer === "string" ? answer : "no address";
  return {
    results: [
      result("peer-name", "failure", `${variable}: the name ${name} does not resolve: ${reason}`, {
        hint: `correct ${variable} or the resolver in /etc/resolv.conf; try: getent hosts ${name}`,
        details: { variable },
      }),
    ],
  };
};

const resolveMilliseconds = 2_000;

const checkLocalAddress = (
  local: Endpoint,
  variable: string,
  links: readonly Link[],
): readonly [CheckResult, ...CheckResult[]] => {
  if (local.kind !== "address")
    return [result("local-address", "ok", `${variable} is %any: any address of this host will do`)];
  const { text } = local.address;
  const own = links.find(({ addresses }) => addresses.some((address) => address.text === text));
  const details = { variable };
  if (own === undefined) {
    return [
      result("local-address", "failure", `${variable}: ${text} is no address of this host`, {
        hint: `set ${variable} to one of ${listed(links)}, or to %any`,
        details,
      }),
    ];
  }
  if (!own.isUp) {
    return [
      result("local-address", "failure", `${variable}: ${text} is an address of ${own.name}, which is down`, {
        hint: `ip link set dev ${own.name} up`,
        details,
      }),
    ];
  }
  return [result("local-address", "ok", `${text} is an address of ${own.name}`)];
};

const listed = (links: readonly Link[]): string =>
  links
    .filter(({ name }) => name !== "lo")
    .flatMap(({ addresses }) => addresses.map(({ text }) => text))
    .filter((text) => !text.startsWith("fe80:"))
    .join(", ") || "the addresses that ip address shows";

const judgeRoute = (
  { text }: Address,
  { device, isOwn, gateway }: { readonly device: string; readonly isOwn: boolean; readonly gateway?: string },
  interfaces: readonly string[],
  variable: string,
): CheckResult => {
  if (isOwn) {
    return result("route", "failure", `${variable}: ${text} is an address of this very host`, {
      hint: `set ${variable} to the address of the peer`,
      details: { variable },
    });
  }
  if (interfaces.length > 0 && !interfaces.includes(device)) {
    return result(
      "route",
      "failure",
      `the peer is reached by ${device}, which IPSEC_INTERFACES does not name`,
      {
        hint: `add ${device} to IPSEC_INTERFACES, now ${interfaces.join(",")}`,
        details: { variable: "IPSEC_INTERFACES" },
      },
    );
  }
  const via = gateway === undefined ? "" : ` through ${gateway}`;
  return result("route", "ok", `the peer ${text} is reached by ${device}${via}`);
};
