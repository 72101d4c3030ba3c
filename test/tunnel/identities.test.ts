import assert from "node:assert/strict";
import { test } from "node:test";
import { createLab } from "../support/lab.ts";
import { diagnoses, isReady, reload, stop, tunnelEnvironment, tunnelPsk } from "../support/our-gateway.ts";
import { swanctlConf } from "../support/swanctl-conf.ts";
import { waitFor } from "../support/wait-for.ts";

const psk = Buffer.from(tunnelPsk);

type Identity = {
  /** What the operator of our gateway writes; unset for the address. */
  readonly ours?: string;
  /** What an administrator of strongSwan writes for the same (swanctl.conf(5)). */
  readonly theirs: string;
  /** How charon lists it. */
  readonly listed?: string;
};

/** Of each kind one for moon, where our gateway is, and one for sun. */
const identities: readonly { readonly kind: string; readonly moon: Identity; readonly sun: Identity }[] = [
  { kind: "the addresses", moon: { theirs: "192.0.2.1" }, sun: { theirs: "192.0.2.2" } },
  {
    kind: "other addresses than those of the endpoints",
    moon: { ours: "203.0.113.1", theirs: "203.0.113.1" },
    sun: { ours: "2001:db8:ffff::2", theirs: "2001:db8:ffff::2" },
  },
  {
    kind: "FQDN",
    moon: { ours: "moon.example.org", theirs: "fqdn:moon.example.org", listed: "moon.example.org" },
    sun: { ours: "@sun", theirs: "fqdn:sun", listed: "sun" },
  },
  {
    kind: "e-mail",
    moon: { ours: "moon@example.org", theirs: "email:moon@example.org", listed: "moon@example.org" },
    sun: {
      ours: "@@sun+vpn@example.org",
      theirs: "email:sun+vpn@example.org",
      listed: "sun+vpn@example.org",
    },
  },
  {
    kind: "DN",
    moon: {
      ours: "C=DE, O=Example Ltd #1, CN=moon = bright {x}",
      theirs: "C=DE, O=Example Ltd #1, CN=moon = bright {x}",
    },
    sun: { ours: "/C=DE/O=Example/CN=sun", theirs: "C=DE, O=Example, CN=sun" },
  },
  {
    kind: "KEY_ID as text",
    moon: { ours: "keyid:moon of the north", theirs: "keyid:moon of the north", listed: "moon of the north" },
    sun: { ours: "keyid:sun:42", theirs: "keyid:sun:42", listed: "sun:42" },
  },
  {
    kind: "KEY_ID as bytes",
    moon: { ours: "@#6d6f6f6e0022ff", theirs: "@#6d6f6f6e0022ff", listed: "6d:6f:6f:6e:00:22:ff" },
    sun: { ours: "@#00", theirs: "@#00", listed: "00" },
  },
  {
    kind: "one of each kind",
    moon: { ours: "moon@example.org", theirs: "email:moon@example.org", listed: "moon@example.org" },
    sun: { ours: "sun.example.org", theirs: "fqdn:sun.example.org", listed: "sun.example.org" },
  },
];

const environmentFile = "/etc/vnf-ipsec/site.env";

for (const version of [2, 1] as const) {
  test(`identities of every kind authenticate, whoever begins, IKEv${version}`, async (context) => {
    await using lab = await createLab();
    const peer = await lab.sun.peer({});
    await lab.moon.writeFile(environmentFile, "IPSEC_LOCALID=not.yet.known");
    const gateway = lab.moon.gateway(
      tunnelEnvironment(lab.moon, lab.sun, {
        IPSEC_KEYEXCHANGE: `ikev${version}`,
        IPSEC_START: "add",
        ENVFILE: environmentFile,
      }),
    );
    await isReady(gateway);
    for (const { kind, moon, sun } of identities) {
      await context.test(kind, async () => {
        await peer.load(
          swanctlConf([
            {
              version,
              psk,
              localAddress: lab.sun.address,
              remoteAddress: lab.moon.address,
              localNetworks: lab.sun.networks,
              remoteNetworks: lab.moon.networks,
              localId: sun.theirs,
              remoteId: moon.theirs,
            },
          ]),
        );
        const lines = [`IPSEC_LOCALID='${moon.ours ?? ""}'`, `IPSEC_REMOTEID='${sun.ours ?? ""}'`];
        await lab.moon.writeFile(environmentFile, lines.join("\n"));
        await reload(gateway);
        for (const end of [lab.sun, lab.moon]) {
          await end.run(["swanctl", "--initiate", "--child", "site", "--timeout", "10"]);
          const [sa, ...others] = await peer.sas();
          assert.ok(sa !== undefined && others.length === 0);
          assert.deepEqual(
            [sa.fields["local-id"], sa.fields["remote-id"]],
            [sun.listed ?? sun.theirs, moon.listed ?? moon.theirs],
          );
          await waitFor("an answer through the tunnel", async () =>
            (await lab.moon.ping(lab.sun.host, { count: 1 })).received === 1 ? true : undefined,
          );
          await peer.swanctl("--terminate", "--ike", "site");
          // It answers before its end is taken down, and the next tunnel would meet the remains.
          await waitFor("the end of the tunnel at our gateway", async () =>
            (await lab.moon.run(["swanctl", "--list-sas"])) === "" ? true : undefined,
          );
        }
      });
    }
    assert.deepEqual(diagnoses(gateway), []);
    assert.equal(await stop(gateway), 0);
  });
}
