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
  // Few programs in one: in an emulated guest each further one takes a tenth of a second.
  const output = await namespace.run(["bash", "-ec", commands.join(`; echo "${separator}"; `)]);
  const [mixed = "", rules6 = "", states = "", firewall = ""] = output.split(`${separator}\n`);
  const [links = "", addresses = "", rules = "", routes = "", ...policies] = mixed.split("\n");
  return {
    links: stable(links),
    addresses: stable(addresses),
    routes: stable(routes),
    rules: [...stable(rules), ...stable(rules6)],
    policies: xfrmEntries(policies.join("\n")),
    states: xfrmEntries(states),
    firewall: stable(JSON.stringify(JSON.parse(firewall).nftables)).filter(
      (entry) => !/"(?:name|table)":"lab_\d+"|"metainfo"/.test(JSON.stringify(entry)),
    ),
  };
};

const separator = "------";

/** Of both families, but for rules. The list of policies, which is text all the same, ends a batch (iproute2 6.1, xfrm_policy.c). */
const batch = ["link show", "address show", "rule show", "route show table all", "xfrm policy"];

const commands = [
  `printf '%s\\n' ${batch.map((line) => `'${line}'`).join(" ")} | ip -json -details -batch -`,
  "ip -json -6 rule",
  "ip xfrm state",
  "nft -j list ruleset",
];

/** Counters (a capture raises promiscuity), timers and what the kernel decides by itself a moment later. */
const volatileFields = new Set([
  ...["stats", "stats64", "operstate", "valid_life_time", "preferred_life_time", "expires", "handle"],
  ...["packets", "bytes", "promiscuity"],
]);
const volatileFlags = new Set(["LOWER_UP", "NO-CARRIER", "linkdown"]);

const stable = (json: string): unknown[] =>
  (JSON.parse(json) as unknown[])
    .map(withoutVolatile)
    .sort((one, other) => (JSON.stringify(one) < JSON.stringify(other) ? -1 : 1));

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
