import { type Capture, capture, together } from "./capture.ts";
import { type DataPlane, detectDataPlane } from "./data-plane.ts";
import { type Disturbance, disturb, type Fault, type Passage } from "./disturbance.ts";
import { startGuardian } from "./guardian.ts";
import { type Namespace, openNamespace, type ProcessRegister } from "./namespace.ts";
import { makeNode, makeSite, type Node, type Site } from "./site.ts";
import { describeProcess, type SiteProcess } from "./site-process.ts";
import type { Snapshot } from "./snapshot.ts";
import {
  addressesOf,
  connectDirectly,
  connectThroughRouter,
  type End,
  type SiteName,
  siteNames,
} from "./topology.ts";
import { waitFor } from "./wait-for.ts";

export type SiteRequest = {
  /** CIDRs of the protected networks. moon has 10.1.0.0/24 without them, sun 10.2.0.0/24, venus 10.3.0.0/24. */
  readonly networks?: readonly string[];
};

export type LabRequest = {
  readonly moon?: SiteRequest;
  readonly sun?: SiteRequest;
  /** A third site, which takes a router. */
  readonly venus?: SiteRequest;
  /** Puts a router between the sites instead of a cable: for NAT, a smaller MTU, a default gateway. */
  readonly router?: boolean;
  /** Gives endpoints IPv6 addresses too, and sites an IPv6 network unless `networks` says which. Without it eth0 is IPv4 only. */
  readonly ipv6?: boolean;
};

/** Two or three sites on this host. Nothing in it reaches the host's network or is reached from it. */
export type Lab = {
  readonly dataPlane: DataPlane;
  readonly moon: Site;
  readonly sun: Site;
  /** Fails when the lab was made without it; so does `router`. */
  readonly venus: Site;
  readonly router: Node;
  /** Loses, corrupts or duplicates packets on their way between the sites, each direction by itself. */
  readonly disturb: (fault: Fault) => Promise<Disturbance>;
  /** Cuts the sites, or one from all others, off. What they send is still seen by a capture at the sender. */
  readonly partition: (isolated?: Site) => Promise<Disturbance>;
  /** Hides a site behind the router: others see 192.0.2.254. */
  readonly masquerade: (site: Site) => Promise<void>;
  /** The witness between the sites: what each of them puts on the wire. */
  readonly captureWire: (filter?: string) => Promise<Capture>;
  readonly snapshot: () => Promise<{ readonly [site: string]: Snapshot }>;
  /** Ends every process and namespace of the lab; fails if one survives. May be called again. */
  readonly destroy: () => Promise<void>;
  readonly [Symbol.asyncDispose]: () => Promise<void>;
};

export const createLab = async (request: LabRequest = {}): Promise<Lab> => {
  const names = siteNames.filter((name) => name !== "venus" || request.venus !== undefined);
  const routed = request.router === true || request.venus !== undefined;
  const ipv6 = request.ipv6 === true;
  const innerIpv6 = names.some((name) => request[name]?.networks?.some((network) => network.includes(":")));
  const guardian = startGuardian();
  const register = makeRegister();
  let destroyed: Promise<void> | undefined;
  const destroy = () => {
    destroyed ??= guardian.finish();
    return destroyed;
  };
  const open = async (name: string): Promise<Namespace> => {
    const namespace = await openNamespace(name, { register, ipv6: ipv6 || innerIpv6 });
    await guardian.watch(namespace.pid);
    return namespace;
  };

  const furnish = async () => {
    const [dataPlane, router, ...namespaces] = await Promise.all([
      detectDataPlane(),
      routed ? open("router") : undefined,
      ...names.map(open),
    ]);
    const ends = namespaces.map((namespace, index): End => {
      const name = names[index] as SiteName;
      return { name, namespace, addresses: addressesOf(name, request[name]?.networks, ipv6) };
    });
    await (router === undefined
      ? connectDirectly(ends as [End, End], ipv6)
      : connectThroughRouter(router, ends, ipv6));
    await Promise.all(ends.map(({ namespace }) => hasCarrier(namespace)));
    return { dataPlane, router, ends };
  };

  const { dataPlane, router, ends } = await furnish().catch(async (fault) => {
    await destroy();
    throw fault;
  });

  const siteOf = (name: SiteName): Site | undefined => {
    const end = ends.find((candidate) => candidate.name === name);
    const opposite = ends.find((candidate) => candidate.name === (name === "moon" ? "sun" : "moon"));
    return end && opposite && makeSite(end.namespace, end.addresses, opposite.addresses, dataPlane);
  };
  const sites = { moon: siteOf("moon"), sun: siteOf("sun"), venus: siteOf("venus") };
  const routerNode = router && makeNode(router);
  const doors = ends.map(({ namespace }): Passage => ({ namespace, device: "eth0" }));

  return {
    dataPlane,
    get moon() {
      return present(sites.moon, "moon");
    },
    get sun() {
      return present(sites.sun, "sun");
    },
    get venus() {
      return present(sites.venus, "venus");
    },
    get router() {
      return present(routerNode, "router");
    },
    disturb: (fault) => disturb(doors, fault),
    partition: (isolated) => disturb(entrances(isolated, doors, router), { kind: "drop", percent: 100 }),
    masquerade: async (site) => {
      await present(routerNode, "router").run(["nft", "-f", "-"], { input: masquerading(site) });
    },
    captureWire: async (filter) =>
      together(
        await Promise.all(doors.map(({ namespace }) => capture(namespace, filter, { sentOnly: true }))),
      ),
    snapshot: async () =>
      Object.fromEntries(
        await Promise.all(
          ends.map(async ({ name }) => [name, await present(sites[name], name).snapshot()] as const),
        ),
      ),
    destroy,
    [Symbol.asyncDispose]: destroy,
  };
};

const makeRegister = (): ProcessRegister => {
  const processes: SiteProcess[] = [];
  return {
    add: (process) => processes.push(process),
    testimony: () => processes.slice(-12).map(describeProcess).join("\n"),
  };
};

const present = <Thing>(thing: Thing | undefined, name: string): Thing => {
  if (thing === undefined) {
    throw new Error(`this lab has no ${name}: ask createLab for it`);
  }
  return thing;
};

/** Packets to the isolated site enter it at its own door, packets from it at the router's; with a cable, at the other site's. */
const entrances = (
  isolated: Site | undefined,
  doors: readonly Passage[],
  router: Namespace | undefined,
): readonly Passage[] =>
  isolated === undefined || router === undefined
    ? doors
    : [
        { namespace: isolated, device: "eth0" },
        { namespace: router, device: isolated.name },
      ];

const masquerading = (site: Site): string => `
table ip masquerade_${site.name} {
  chain postrouting {
    type nat hook postrouting priority 100; policy accept;
    ip saddr ${site.address} oifname != "${site.name}" masquerade
  }
}
`;

/** The kernel tells of both ends of a veth a moment after they are up; a snapshot before would differ from any after. */
const hasCarrier = (namespace: Namespace): Promise<true> =>
  waitFor(`the link of ${namespace.name}`, async () =>
    /LOWER_UP.* state UP /.test(await namespace.run(["ip", "-oneline", "link", "show", "dev", "eth0"]))
      ? true
      : undefined,
  );
