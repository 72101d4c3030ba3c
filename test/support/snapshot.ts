import type { Namespace } from "./namespace.ts";

/** The network state of a namespace as text for comparison: everything that stays, nothing that counts or ticks. */
export type Snapshot = {
  readonly links: readonly unknown[];
  readonly addresses: readonly unknown[];
  readonly routes: readonly unknown[];
  readonly rules: readonly unknown[];
  readonly policies: readonly string[];
  readonly states: readonly string[];
  /** Tables of nftables, without those by which the lab disturbs. */
  readonly firewall: readonly unknown[];
};

export const snapshot = async (namespace: Namespace): Promise<Snapshot> => {
  const json = async (...words: string[]): Promise<unknown[]> =>
    stable(JSON.parse((await namespace.run(["ip", "-json", ...words])) || "[]"));
  const xfrm = async (kind: string) => xfrmEntries(await namespace.run(["ip", "xfrm", kind]));
  const [links, addresses, routes, routes6, rules, rules6, policies, states, firewall] = await Promise.all([
    json("-details", "link"),
    json("address"),
    json("-4", "route", "show", "table", "all"),
    json("-6", "route", "show", "table", "all"),
    json("-4", "rule"),
    json("-6", "rule"),
    xfrm("policy"),
    xfrm("state"),
    namespace.run(["nft", "-j", "list", "ruleset"]),
  ]);
  return {
    links,
    addresses,
    routes: [...routes, ...routes6],
    rules: [...rules, ...rules6],
    policies,
    states,
    firewall: stable(JSON.parse(firewall).nftables).filter(
      (entry) => !/"(?:name|table)":"lab_\d+"|"metainfo"/.test(JSON.stringify(entry)),
    ),
  };
};

/** Counters (a capture raises promiscuity), timers and what the kernel decides by itself a moment later. */
const volatileFields = new Set([
  ...["stats", "stats64", "operstate", "valid_life_time", "preferred_life_time", "expires", "handle"],
  ...["packets", "bytes", "promiscuity"],
]);
const volatileFlags = new Set(["LOWER_UP", "NO-CARRIER", "linkdown"]);

const stable = (entries: readonly unknown[]): unknown[] =>
  entries.map(withoutVolatile).sort((one, other) => (JSON.stringify(one) < JSON.stringify(other) ? -1 : 1));

const withoutVolatile = (value: unknown): unknown => {
  if (Array.isArray(value)) {
    return value.filter((element) => !volatileFlags.has(element)).map(withoutVolatile);
  }
  if (typeof value === "object" && value !== null) {
    return Object.fromEntries(
      Object.entries(value)
        .filter(([name]) => !volatileFields.has(name))
        .map(([name, inner]) => [name, withoutVolatile(inner)]),
    );
  }
  return value;
};

/** `ip xfrm` has no JSON. An entry begins where a line is not indented; sequence numbers and last use move by themselves. */
const xfrmEntries = (text: string): string[] =>
  text
    .split(/\n(?=\S)/)
    .map((entry) =>
      entry
        .replace(/^\s*(?:anti-replay context|lastused|seq-hi|replay_window).*$/gm, "")
        .replace(/\s+/g, " ")
        .trim(),
    )
    .filter((entry) => entry !== "")
    .sort();
