import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { createLab, type Lab } from "../support/lab.ts";
import {
  diagnoses,
  hasTunnels,
  isReady,
  stop,
  tunnelEnvironment,
  tunnelPsk,
} from "../support/our-gateway.ts";
import type { Peer } from "../support/peer.ts";
import type { Environment, SiteProcess } from "../support/site-process.ts";
import type { PeerConnection } from "../support/swanctl-conf.ts";
import { waitFor } from "../support/wait-for.ts";

const psk = Buffer.from(tunnelPsk);

/** A gateway of ours at moon, an independent strongSwan at sun, and who of them begins. */
type Handshake = {
  readonly title: string;
  readonly gateway: (lab: Lab) => Environment;
  readonly peer?: (lab: Lab) => Partial<PeerConnection>;
  readonly initiator?: "gateway" | "peer";
  readonly networks?: { readonly moon: readonly string[]; readonly sun: readonly string[] };
  /** Whether ESP stands on the wire without UDP, where the data plane can do that. */
  readonly plainEsp?: true;
  /** `local-ts === remote-ts` of each CHILD SA at the peer. */
  readonly children?: readonly string[];
  /** Fields of the peer's IKE SA, and of each of its CHILD SAs. */
  readonly ikeSa?: Readonly<Record<string, string>>;
  readonly childSa?: Readonly<Record<string, string>>;
};

const several = {
  moon: ["10.1.0.0/24", "10.1.8.0/22"],
  sun: ["10.2.0.0/24", "172.16.5.4/32"],
} as const;

const handshakes: readonly Handshake[] = [
  {
    title: "IKEv2 with the default ciphers",
    gateway: () => ({}),
    ikeSa: {
      version: "2",
      "encr-alg": "AES_GCM_16",
      "encr-keysize": "192",
      "prf-alg": "PRF_HMAC_SHA2_256",
      "dh-group": "ECP_256",
    },
    childSa: { "encr-alg": "AES_GCM_16", "encr-keysize": "192" },
  },
  {
    title: "IKEv1 with the default ciphers",
    gateway: () => ({ IPSEC_KEYEXCHANGE: "ikev1" }),
    peer: () => ({ version: 1, proposals: "aes192-sha256-modp3072", espProposals: "aes192-sha256-modp3072" }),
    ikeSa: { version: "1", "encr-alg": "AES_CBC", "encr-keysize": "192", "dh-group": "MODP_3072" },
    childSa: { "encr-alg": "AES_CBC", "integ-alg": "HMAC_SHA2_256_128", "dh-group": "MODP_3072" },
  },
  {
    title: "IKEv2 with ciphers of the operator's choice, IPSEC_LOCALIP=%any",
    gateway: (lab) => ({
      IPSEC_LOCALIP: "%any",
      IPSEC_LOCALID: lab.moon.address,
      IPSEC_IKECIPHER: "aes256gcm16-prfsha384-ecp384",
      IPSEC_ESPCIPHER: "aes256gcm16-ecp384",
    }),
    peer: () => ({ proposals: "aes256gcm16-prfsha384-ecp384", espProposals: "aes256gcm16-ecp384" }),
    ikeSa: { version: "2", "encr-keysize": "256", "prf-alg": "PRF_HMAC_SHA2_384", "dh-group": "ECP_384" },
    childSa: { "encr-alg": "AES_GCM_16", "encr-keysize": "256" },
  },
  {
    title: "IKEv1 with ciphers of the operator's choice, IPSEC_LOCALIP=%any",
    gateway: (lab) => ({
      IPSEC_LOCALIP: "%any",
      IPSEC_LOCALID: lab.moon.address,
      IPSEC_KEYEXCHANGE: "ikev1",
      IPSEC_IKECIPHER: "aes256-sha512-modp2048",
      IPSEC_ESPCIPHER: "aes256-sha512-modp2048",
    }),
    peer: () => ({ version: 1, proposals: "aes256-sha512-modp2048", espProposals: "aes256-sha512-modp2048" }),
    ikeSa: { version: "1", "encr-keysize": "256", "integ-alg": "HMAC_SHA2_512_256", "dh-group": "MODP_2048" },
    childSa: { "integ-alg": "HMAC_SHA2_512_256", "dh-group": "MODP_2048" },
  },
  {
    title: "either version of IKE, to a peer that speaks IKEv2",
    gateway: () => ({ IPSEC_KEYEXCHANGE: "ike" }),
    ikeSa: { version: "2" },
  },
  {
    title: "either version of IKE, for a peer that begins with IKEv1",
    gateway: () => ({ IPSEC_KEYEXCHANGE: "ike", IPSEC_START: "add" }),
    peer: () => ({ version: 1, proposals: "aes192-sha256-modp3072", espProposals: "aes192-sha256-modp3072" }),
    initiator: "peer",
    ikeSa: { version: "1" },
  },
  {
    title: "IKEv2 with several networks, which are one CHILD SA",
    gateway: () => ({}),
    networks: several,
    children: ["10.2.0.0/24,172.16.5.4/32 === 10.1.0.0/24,10.1.8.0/22"],
  },
  {
    title: "IKEv1 with several networks, each pair a CHILD SA",
    gateway: () => ({ IPSEC_KEYEXCHANGE: "ikev1" }),
    peer: () => ({ version: 1 }),
    networks: several,
    children: [
      "10.2.0.0/24 === 10.1.0.0/24",
      "10.2.0.0/24 === 10.1.8.0/22",
      "172.16.5.4/32 === 10.1.0.0/24",
      "172.16.5.4/32 === 10.1.8.0/22",
    ],
  },
  {
    title: "IPSEC_START=start, IPSEC_FORCEUDP=no, IKEv2",
    gateway: () => ({ IPSEC_START: "start", IPSEC_FORCEUDP: "no" }),
    plainEsp: true,
  },
  {
    title: "IPSEC_START=route,start, IPSEC_FORCEUDP=no, IKEv1",
    gateway: () => ({
      IPSEC_START: "route,start",
      IPSEC_FORCEUDP: "no",
      IPSEC_KEYEXCHANGE: "ikev1",
    }),
    peer: () => ({ version: 1 }),
    plainEsp: true,
  },
  { title: "IPSEC_START=add", gateway: () => ({ IPSEC_START: "add" }), initiator: "peer" },
  {
    title: "IPSEC_REMOTEIP=%any, IKEv1",
    gateway: (lab) => ({
      IPSEC_REMOTEIP: "%any",
      IPSEC_REMOTEID: lab.sun.address,
      IPSEC_KEYEXCHANGE: "ikev1",
    }),
    peer: () => ({ version: 1 }),
    initiator: "peer",
  },
  {
    title: "neither address known, identities instead",
    gateway: () => ({
      IPSEC_LOCALIP: "%any",
      IPSEC_LOCALID: "moon.example.org",
      IPSEC_REMOTEIP: "%any",
      IPSEC_REMOTEID: "sun.example.org",
    }),
    peer: () => ({ localId: "sun.example.org", remoteId: "moon.example.org" }),
    initiator: "peer",
  },
];

suite("packets pass both ways, and none in clear", { concurrency: 2 }, () => {
  for (const handshake of handshakes) {
    test(`${handshake.title}`, async () => {
      const { networks } = handshake;
      await using lab = await createLab(
        networks === undefined ? {} : { moon: { networks: networks.moon }, sun: { networks: networks.sun } },
      );
      const witness = await lab.captureWire();
      const { peer } = await tunnel(lab, handshake);
      await pingEverything(lab);

      const sa = await onlySa(peer);
      assert.equal(sa.fields.state, "ESTABLISHED");
      assert.equal(sa.fields.initiator === "yes", handshake.initiator === "peer");
      assert.deepEqual(picked(sa.fields, handshake.ikeSa), handshake.ikeSa ?? {});
      const children = sa.children.map((child) => `${child["local-ts"]} === ${child["remote-ts"]}`).sort();
      assert.deepEqual(children, handshake.children ?? ["10.2.0.0/24 === 10.1.0.0/24"]);
      for (const child of sa.children) {
        assert.deepEqual(picked(child, handshake.childSa), handshake.childSa ?? {});
      }
      const packets = await witness.stop();
      assertNothingInClear(packets);
      // kernel-libipsec has no socket but charon's for UDP 4500.
      const inUdp = handshake.plainEsp !== true || lab.dataPlane === "userspace";
      assert.deepEqual([...new Set(espIn(packets).map((line) => /UDP-encap/.test(line)))], [inUdp]);
    });
  }

  test("a reauthentication is what IPSEC_IKEREAUTH decides over", async () => {
    await using lab = await createLab();
    for (const [reauthenticate, wanted, other] of [
      ["yes", "reauth-time", "rekey-time"],
      ["no", "rekey-time", "reauth-time"],
    ] as const) {
      const { gateway, peer } = await tunnel(lab, { gateway: () => ({ IPSEC_IKEREAUTH: reauthenticate }) });
      const fields = await ikeSaFields(lab);
      assert.ok(Number(fields[wanted]) > 0, JSON.stringify(fields));
      assert.equal(fields[other], undefined);
      assert.equal(await stop(gateway), 0);
      await peer.stop();
    }
  });

  for (const version of [2, 1] as const) {
    test(`a tunnel that the peer deletes comes back by itself, IKEv${version}`, async () => {
      await using lab = await createLab();
      const { gateway, peer } = await tunnel(lab, {
        gateway: () => ({ IPSEC_KEYEXCHANGE: `ikev${version}` }),
        peer: () => ({ version }),
      });
      for (const what of ["--child", "--ike"]) {
        await pingEverything(lab);
        const from = peer.output().length;
        await peer.swanctl("--terminate", what, "site");
        await wakeTraps(lab);
        await peer.waitForTunnel({ from });
      }
      await pingEverything(lab);
      assert.equal((await onlySa(peer)).children.length, 1);
      assert.deepEqual(diagnoses(gateway), []);
    });
  }

  for (const [title, changes] of [
    ["IKEv2", {}],
    ["IKEv1, several networks", { IPSEC_KEYEXCHANGE: "ikev1" }],
    ["either version", { IPSEC_KEYEXCHANGE: "ike" }],
  ] as const) {
    test(`two gateways of ours carry packets both ways, and none in clear: ${title}`, async () => {
      await using lab = await createLab(
        title.includes("several") ? { moon: { networks: several.moon }, sun: { networks: several.sun } } : {},
      );
      const witness = await lab.captureWire();
      const sun = lab.sun.gateway(tunnelEnvironment(lab.sun, lab.moon, { IPSEC_START: "add", ...changes }));
      await isReady(sun);
      const moon = lab.moon.gateway(tunnelEnvironment(lab.moon, lab.sun, changes));
      await isReady(moon);
      await wakeTraps(lab);
      const pairs = title.includes("several") ? 4 : 1;
      await Promise.all([hasTunnels(moon, pairs), hasTunnels(sun, pairs)]);
      await pingEverything(lab);
      assertNothingInClear(await witness.stop());
      for (const gateway of [moon, sun]) {
        assert.deepEqual(diagnoses(gateway), []);
        assert.equal(await stop(gateway), 0);
      }
    });
  }

  test("two gateways of ours that both begin end with packets passing", async () => {
    await using lab = await createLab();
    const gateways = [
      lab.moon.gateway(tunnelEnvironment(lab.moon, lab.sun, { IPSEC_START: "start" })),
      lab.sun.gateway(tunnelEnvironment(lab.sun, lab.moon, { IPSEC_START: "start" })),
    ];
    await Promise.all(gateways.map((gateway) => isReady(gateway)));
    await Promise.all(gateways.map((gateway) => hasTunnels(gateway)));
    await pingEverything(lab);
  });
});

type Ends = { readonly gateway: SiteProcess; readonly peer: Peer };

/** Who answers is ready before the other begins. Resolves when both have the tunnel. */
const tunnel = async (lab: Lab, handshake: Omit<Handshake, "title">): Promise<Ends> => {
  const peerBegins = handshake.initiator === "peer";
  const startGateway = async (): Promise<SiteProcess> => {
    const gateway = lab.moon.gateway(tunnelEnvironment(lab.moon, lab.sun, handshake.gateway(lab)));
    await isReady(gateway);
    return gateway;
  };
  const startPeer = (): Promise<Peer> =>
    lab.sun.peer({
      connections: [{ psk, startAction: peerBegins ? "start" : "none", ...handshake.peer?.(lab) }],
    });
  const early = peerBegins ? undefined : await startPeer();
  const gateway = await startGateway();
  const peer = early ?? (await startPeer());
  if (!peerBegins) await wakeTraps(lab);
  const pairs = handshake.children?.length ?? 1;
  await Promise.all([peer.waitForTunnel(), hasTunnels(gateway, pairs)]);
  return { gateway, peer };
};

/** With ESP in the kernel a tunnel waits for its first packet. In user space that packet would leave in clear. */
const wakeTraps = async (lab: Lab): Promise<void> => {
  if (lab.dataPlane === "userspace") return;
  for (const from of lab.moon.hosts) {
    for (const host of lab.sun.hosts) await lab.moon.ping(host, { from, count: 1 });
  }
};

/** From every inner host to every other one, both ways; IKEv1 brings the pairs up one after the other. */
const pingEverything = async (lab: Lab): Promise<void> => {
  for (const [one, other] of [
    [lab.moon, lab.sun],
    [lab.sun, lab.moon],
  ] as const) {
    for (const from of one.hosts) {
      for (const host of other.hosts) {
        await waitFor(`an answer from ${host} to ${from}`, async () =>
          (await one.ping(host, { from, count: 1 })).received === 1 ? true : undefined,
        );
      }
    }
  }
};

/** IKE, ESP and ARP are all that may be seen; and ESP must be, or the capture saw nothing. */
const assertNothingInClear = (packets: readonly string[]): void => {
  assert.ok(espIn(packets).length >= 4, packets.join("\n"));
  assert.deepEqual(
    packets.filter((line) => !/ESP\(spi=|isakmp| ARP, /.test(line)),
    [],
  );
};

const espIn = (packets: readonly string[]): readonly string[] =>
  packets.filter((line) => /ESP\(spi=/.test(line));

const onlySa = async (peer: Peer) => {
  const [sa, ...others] = await peer.sas();
  assert.ok(sa !== undefined && others.length === 0, `${others.length + (sa ? 1 : 0)} IKE SAs`);
  return sa;
};

const picked = (fields: Readonly<Record<string, unknown>>, wanted: Readonly<Record<string, string>> = {}) =>
  Object.fromEntries(Object.keys(wanted).map((name) => [name, fields[name]]));

/** As our own charon lists its IKE SA. */
const ikeSaFields = async (lab: Lab): Promise<Readonly<Record<string, string>>> => {
  const listing = await lab.moon.run(["swanctl", "--list-sas", "--pretty"]);
  return Object.fromEntries(
    [...listing.matchAll(/^ {4}([a-z-]+) = (.*)$/gm)].map(([, name = "", value = ""]) => [name, value]),
  );
};
