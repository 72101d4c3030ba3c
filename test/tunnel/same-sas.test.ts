import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { createLab, type Lab } from "../support/lab.ts";
import { hasTunnels, isReady, stop, tunnelEnvironment } from "../support/our-gateway.ts";
import type { Environment } from "../support/site-process.ts";
import { parseListing, type Section } from "../support/swanctl-listing.ts";

const backends = ["stroke", "swanctl"] as const;

type Variation = {
  readonly changes: Environment;
  readonly tunnels: number;
  /** starter calls the IKE SA of several conns by the name of the first. */
  readonly nameByStarter?: string;
};

const variations: Readonly<Record<string, Variation>> = {
  IKEv2: { changes: {}, tunnels: 1 },
  "classic algorithms, an identity of its own, no reauthentication": {
    changes: {
      IPSEC_IKECIPHER: "aes128-sha256-ecp256",
      IPSEC_ESPCIPHER: "aes128-sha256-ecp256",
      IPSEC_LOCALID: "moon.example.com",
      IPSEC_IKEREAUTH: "no",
      IPSEC_LIFETIME: "30m",
    },
    tunnels: 1,
  },
  "IKEv1, a CHILD SA for each pair of networks": {
    changes: {
      IPSEC_KEYEXCHANGE: "ikev1",
      IPSEC_IKECIPHER: "aes128-sha256-modp2048",
      IPSEC_ESPCIPHER: "aes128-sha256",
    },
    tunnels: 2,
    nameByStarter: "site_1",
  },
};

suite("charon lists the same SAs, with packets through them, whichever backend told it of the connection", () => {
  for (const [title, { changes, tunnels, nameByStarter = "site" }] of Object.entries(variations))
    test(title, async () => {
      const [byStarter, overVici] = await Promise.all(
        backends.map((backend) => listed(backend, changes, tunnels)),
      );
      assert.ok(byStarter !== undefined && overVici !== undefined);
      assert.deepEqual(
        byStarter,
        overVici.map((sa) => ({ ...sa, name: nameByStarter })),
      );
      assert.deepEqual(
        overVici.map(({ name }) => name),
        ["site"],
      );
    });
});

const listed = async (backend: (typeof backends)[number], changes: Environment, tunnels: number) => {
  await using lab = await createLab({ sun: { networks: ["10.2.0.0/24", "10.4.0.0/24"] } });
  const { moon, sun } = lab;
  const opposite = tunnelEnvironment(sun, moon, {
    ...mirrored(changes),
    IPSEC_BACKEND: "swanctl",
    IPSEC_START: "add",
  });
  const answering = sun.gateway(opposite);
  await isReady(answering);
  const gateway = moon.gateway(
    tunnelEnvironment(moon, sun, { ...changes, IPSEC_BACKEND: backend, IPSEC_START: "start" }),
  );
  await hasTunnels(gateway, tunnels);
  for (const host of sun.hosts) assert.equal((await moon.ping(host, { count: 2 })).received, 2);
  const sas = await listSas(lab);
  assert.equal(await stop(gateway), 0);
  assert.equal(await stop(answering), 0);
  return sas;
};

const mirrored = ({ IPSEC_LOCALID: identity, ...others }: Environment): Environment =>
  identity === undefined ? others : { ...others, IPSEC_REMOTEID: identity };

/** Without what differs from one start to the next, by the names and sorted by the networks of the CHILD SAs. */
const listSas = async ({ moon }: Lab) => {
  const messages = parseListing(await moon.run(["swanctl", "--list-sas", "--pretty"]));
  return messages.flatMap((message) =>
    Object.entries(message).map(([name, sa]) => {
      const { "child-sas": children = {}, ...fields } = sa as Section;
      return {
        name,
        ...lasting(fields),
        children: Object.values(children as Section)
          .map((child) => lasting(child as Section))
          .sort((one, other) => `${one["remote-ts"]}`.localeCompare(`${other["remote-ts"]}`)),
      };
    }),
  );
};

/** Seconds are of the moment, or drawn at random; the packets have been counted by the pings. */
const ofTheMoment =
  /^(?:uniqueid|reqid|(?:initiator|responder)-spi|established|rekey-time|reauth-time|life-time|install-time|spi-in|spi-out|cpi-.*|bytes-.*|use-.*|tasks-.*)$/;

const lasting = (section: Section): Section =>
  Object.fromEntries(Object.entries(section).filter(([name]) => !ofTheMoment.test(name)));
