import assert from "node:assert/strict";
import { after, suite, test } from "node:test";
import { createLab, type Lab } from "../support/lab.ts";
import {
  diagnoses,
  hasTunnels,
  isReady,
  reload,
  stop,
  tunnelEnvironment,
  tunnelPsk,
} from "../support/our-gateway.ts";
import type { Peer } from "../support/peer.ts";
import { type Authority, convertKey, createPki, type Issued, type KeyKind } from "../support/pki.ts";
import type { Site } from "../support/site.ts";
import type { Environment, SiteProcess } from "../support/site-process.ts";
import { swanctlConf } from "../support/swanctl-conf.ts";
import { assertDiagnosed, type Verdict } from "../support/verdict.ts";
import { waitFor } from "../support/wait-for.ts";

const pki = createPki();
after(() => pki[Symbol.dispose]());

const root = pki.root("/C=DE/O=Example/CN=root");
const otherRoot = pki.root("/C=DE/O=Other/CN=root");

const subjects = { moon: "/C=DE/O=Example/CN=moon", sun: "/C=DE/O=Example/CN=sun" } as const;
const moonId = "C=DE, O=Example, CN=moon";
const sunId = "C=DE, O=Example, CN=sun";

const moonIssued = root.issue({ subject: subjects.moon, alternativeNames: "DNS:moon.example.org" });
const sunIssued = root.issue({ subject: subjects.sun, alternativeNames: "DNS:sun.example.org" });

const directory = "/etc/vnf-ipsec";
const crlPath = `${directory}/root.crl`;
const revoked = root.issue({ subject: subjects.sun, revocationList: `file://${crlPath}` });
root.revoke(revoked);
const revocationList = root.revocationList();

/** What both ends are told, beyond what each test is about. */
type Setup = {
  readonly moon?: Issued;
  readonly sun?: Issued;
  /** What else is in our directory. */
  readonly files?: Readonly<Record<string, string>>;
  /** Changes of our environment; an empty value unsets. */
  readonly environment?: Environment;
  /** As the peer's administrator writes them. */
  readonly peer?: {
    readonly version?: 1 | 2;
    /** How it proves itself, and we must to it: a pre-shared key of its own instead of certificates. */
    readonly auth?: "psk";
    readonly localId?: string;
    readonly remoteId?: string;
    readonly authority?: Authority;
  };
};

/** Starts the peer at sun and our gateway at moon, which have certificates of one root. */
const startBoth = async (
  lab: Lab,
  setup: Setup,
): Promise<{ readonly gateway: SiteProcess; readonly peer: Peer }> => {
  const { moon = moonIssued } = setup;
  await lab.moon.writeFile(`${directory}/cert.pem`, moon.certificate);
  await lab.moon.writeFile(`${directory}/key.pem`, moon.privateKey, 0o600);
  await lab.moon.writeFile(`${directory}/ca.pem`, root.certificate);
  await lab.moon.writeFile(crlPath, revocationList);
  for (const [name, text] of Object.entries(setup.files ?? {}))
    await lab.moon.writeFile(`${directory}/${name}`, text);
  const peer = await startPeer(lab, setup);
  const gateway = lab.moon.gateway(environmentOf(lab, setup.environment));
  return { gateway, peer };
};

const environmentOf = (lab: Lab, changes: Environment = {}): Environment =>
  tunnelEnvironment(lab.moon, lab.sun, {
    IPSEC_PSK: "",
    IPSEC_AUTH: "pubkey",
    IPSEC_CERT_FILE: `${directory}/cert.pem`,
    IPSEC_PRIVATE_KEY_FILE: `${directory}/key.pem`,
    IPSEC_CA_CERT_FILE: `${directory}/ca.pem`,
    IPSEC_REMOTEID: sunId,
    IPSEC_START: "start",
    ...changes,
  });

const startPeer = async (lab: Lab, setup: Setup): Promise<Peer> => {
  await writePeer(lab, setup);
  return lab.sun.peer({
    swanctl: peerText(lab, setup.peer ?? {}),
    charonLines: ["retransmit_timeout = 0.5"],
  });
};

const writePeer = async (lab: Lab, { sun = sunIssued, peer = {} }: Setup): Promise<void> => {
  await lab.sun.writeFile("/etc/peer/x509/sun.pem", sun.certificate);
  await lab.sun.writeFile("/etc/peer/private/sun.pem", sun.privateKey, 0o600);
  await lab.sun.writeFile("/etc/peer/x509ca/root.pem", (peer.authority ?? root).certificate);
};

const peerText = (
  lab: Lab,
  { version = 2, auth, localId = sunId, remoteId = moonId }: NonNullable<Setup["peer"]>,
): string =>
  `connections {
  site {
    version = ${version}
    local_addrs = ${lab.sun.address}
    remote_addrs = ${lab.moon.address}
    proposals = aes192gcm16-aes128gcm16-prfsha256-ecp256-ecp521,aes192-sha256-modp3072
    local {
      auth = ${auth ?? "pubkey"}
      ${auth === undefined ? "certs = sun.pem" : ""}
      id = "${localId}"
    }
    remote {
      auth = ${auth ?? "pubkey"}
      id = "${remoteId}"
    }
    children {
      site {
        local_ts = ${lab.sun.networks.join(",")}
        remote_ts = ${lab.moon.networks.join(",")}
        esp_proposals = aes192gcm16-aes128gcm16-ecp256,aes192-sha256-modp3072
      }
    }
  }
}
secrets {
  ike-site {
    secret = "${tunnelPsk}"
  }
}
`;

const passes = async (lab: Lab): Promise<void> => {
  await waitFor("an answer through the tunnel", async () =>
    (await lab.moon.ping(lab.sun.host, { count: 1 })).received === 1 ? true : undefined,
  );
};

/** Both begin once: what one accepts as the responder it must accept as the initiator. */
const assertAccepted = async (setup: Setup): Promise<void> => {
  await using lab = await createLab();
  const { gateway, peer } = await startBoth(lab, setup);
  await hasTunnels(gateway);
  await passes(lab);
  assert.deepEqual(diagnoses(gateway), []);
  assert.equal(await stop(gateway), 0);
  const responder = lab.moon.gateway(environmentOf(lab, { ...setup.environment, IPSEC_START: "add" }));
  await isReady(responder);
  await peer.swanctl("--initiate", "--child", "site", "--timeout", "10");
  await passes(lab);
  assert.deepEqual(diagnoses(responder), []);
  assert.equal(await stop(responder), 0);
};

suite("certificates that are as they should be bring the tunnel up, whoever begins", {
  concurrency: 2,
}, () => {
  for (const kind of ["rsa", "ecdsa", "ed25519"] as const satisfies readonly KeyKind[]) {
    test(`keys of ${kind} at both ends`, () =>
      assertAccepted({
        moon: root.issue({ subject: subjects.moon, kind }),
        sun: root.issue({ subject: subjects.sun, kind }),
      }));
  }

  test("IKEv1 with RSA, and identities that are alternative names", () =>
    assertAccepted({
      moon: root.issue({ subject: "/CN=m", kind: "rsa", alternativeNames: "DNS:moon.example.org" }),
      sun: root.issue({ subject: "/CN=s", kind: "rsa", alternativeNames: "DNS:sun.example.org" }),
      environment: {
        IPSEC_KEYEXCHANGE: "ikev1",
        IPSEC_LOCALID: "moon.example.org",
        IPSEC_REMOTEID: "sun.example.org",
      },
      peer: { version: 1, localId: "sun.example.org", remoteId: "moon.example.org" },
    }));

  test("a list of those revoked that has the peer not, where one is asked for", () =>
    assertAccepted({
      sun: root.issue({ subject: subjects.sun, revocationList: `file://${crlPath}` }),
      environment: { IPSEC_REVOCATION: "strict" },
    }));

  test("a chain with an intermediate CA, which each end sends to the other", async () => {
    const middle = root.authority({ subject: "/C=DE/O=Example/CN=middle" });
    const moon = middle.issue({ subject: subjects.moon });
    await using lab = await createLab();
    const withMiddle = { ...moon, certificate: moon.certificate + middle.certificate };
    const { gateway } = await startBoth(lab, { moon: withMiddle });
    await hasTunnels(gateway);
    await passes(lab);
    assert.deepEqual(diagnoses(gateway), []);
    assert.equal(await stop(gateway), 0);
  });

  test("a certificate of the root that another CA has signed, after ours and beside the root itself", async () => {
    const { certificate: crossSigned } = otherRoot.issue({
      subject: "/C=DE/O=Example/CN=root",
      privateKey: root.privateKey,
      isAuthority: true,
    });
    await assertAccepted({
      moon: { ...moonIssued, certificate: moonIssued.certificate + crossSigned },
      files: { "both.pem": root.certificate + crossSigned },
      environment: { IPSEC_CA_CERT_FILE: `${directory}/both.pem` },
    });
  });

  test("the peer's certificate itself, which no CA that we know has signed", async () => {
    await using lab = await createLab();
    const sun = otherRoot.issue({ subject: subjects.sun });
    const { gateway } = await startBoth(lab, {
      sun,
      files: { "peer.pem": sun.certificate },
      environment: {
        IPSEC_CA_CERT_FILE: "",
        IPSEC_REMOTE_CERT_FILE: `${directory}/peer.pem`,
        IPSEC_REMOTEID: "",
      },
    });
    await hasTunnels(gateway);
    await passes(lab);
    assert.equal(await stop(gateway), 0);
  });

  test("an encrypted key with its passphrase, and names that text cannot tell strongSwan", async () => {
    await using lab = await createLab();
    const moon = root.issue({ subject: "/O=Example, Ltd./CN=moon" });
    const passphrase = "correct horse battery staple";
    const privateKey = convertKey(moon.privateKey, "-aes256", "-passout", `pass:${passphrase}`);
    await lab.moon.writeFile(`${directory}/passphrase`, `${passphrase}\n`, 0o600);
    const { gateway } = await startBoth(lab, {
      moon: { ...moon, privateKey },
      environment: {
        IPSEC_PRIVATE_KEY_PASSPHRASE_FILE: `${directory}/passphrase`,
        IPSEC_REMOTEID: 'C=DE, O="Example", CN=*',
        DEBUG: "yes",
      },
      peer: { remoteId: "O=*, CN=moon" },
    });
    await hasTunnels(gateway);
    await passes(lab);
    assert.equal(await stop(gateway), 0);
    const secrets = [passphrase, ...[privateKey, moon.privateKey].flatMap(keyLines)];
    for (const secret of secrets) assert.ok(!gateway.output().includes(secret));
  });
});

const keyLines = (pem: string): readonly string[] =>
  pem.split("\n").filter((line) => line.length > 16 && !line.startsWith("-"));

type Refusal = Setup & { readonly title: string; readonly verdict: Verdict; readonly starts: "moon" | "sun" };

const untrusted = ["IPSEC_CA_CERT", "IPSEC_REMOTE_CERT", "IPSEC_REMOTEID"];
const day = 86_400_000;
const past = { from: new Date(Date.now() - 10 * day), until: new Date(Date.now() - day) };

/** What sun had before it was renewed with another key. */
const formerSun = root.issue({ subject: subjects.sun });

const refusals: readonly Refusal[] = (["moon", "sun"] as const).flatMap((starts) => [
  {
    title: "a certificate that has expired",
    starts,
    sun: root.issue({ subject: subjects.sun, valid: past }),
    verdict: { cause: "certificate-expired", variables: ["IPSEC_CA_CERT", "IPSEC_REMOTE_CERT"] },
  },
  {
    title: "a certificate of another CA",
    starts,
    sun: otherRoot.issue({ subject: subjects.sun }),
    verdict: { cause: "certificate-untrusted", variables: untrusted },
  },
  {
    title: "a certificate that was revoked",
    starts,
    sun: revoked,
    verdict: { cause: "certificate-revoked", variables: ["IPSEC_REVOCATION"] },
  },
  {
    title: "a certificate of whose revocation nobody can tell, where that is asked for",
    starts,
    environment: { IPSEC_REVOCATION: "strict" },
    verdict: { cause: "certificate-status-unknown", variables: ["IPSEC_REVOCATION"] },
  },
  {
    title: "a certificate whose key may sign certificates alone",
    starts,
    sun: root.issue({ subject: subjects.sun, isAuthority: true }),
    verdict: { cause: "certificate-untrusted", variables: [] },
  },
  {
    title: "a certificate that has taken the place of the one that we have of the peer",
    starts,
    files: { "peer.pem": formerSun.certificate },
    environment: { IPSEC_CA_CERT_FILE: "", IPSEC_REMOTE_CERT_FILE: `${directory}/peer.pem` },
    verdict: { cause: "certificate-untrusted", variables: ["IPSEC_REMOTE_CERT", "IPSEC_CA_CERT"] },
  },
]);

/** Who is refused is not told why. */
const refusedByPeer: Verdict = {
  cause: "authentication-failed",
  variables: ["IPSEC_CERT", "IPSEC_LOCALID", "IPSEC_REMOTEID", "IPSEC_AUTH"],
};

const identityRefusals: readonly Refusal[] = [
  {
    title: "a certificate of somebody else below the same CA",
    starts: "sun",
    sun: root.issue({ subject: "/C=DE/O=Example/CN=mars" }),
    peer: { localId: "C=DE, O=Example, CN=mars" },
    verdict: { cause: "identity-mismatch", variables: ["IPSEC_REMOTEID", "IPSEC_LOCALID"] },
  },
  {
    title: "our certificate, by a peer that knows another CA",
    starts: "moon",
    peer: { authority: otherRoot },
    verdict: refusedByPeer,
  },
  {
    title: "a certificate, by a peer that has a pre-shared key",
    starts: "moon",
    peer: { auth: "psk" },
    verdict: refusedByPeer,
  },
  {
    title: "a pre-shared key, where we have certificates",
    starts: "sun",
    peer: { auth: "psk" },
    verdict: {
      cause: "psk-not-found",
      variables: ["IPSEC_LOCALID", "IPSEC_REMOTEID", "IPSEC_PSK", "IPSEC_AUTH"],
    },
  },
];

/** In vain, it may be. Further attempts could find the peer too busy to answer in time, which would be told as well. */
const initiateOnce = ({ exec }: Site) => exec(["swanctl", "--initiate", "--child", "site", "--timeout", "2"]);

suite("what is wrong with a certificate refuses the tunnel and is told by its cause", {
  concurrency: 2,
}, () => {
  for (const { title, starts, verdict, ...setup } of [...refusals, ...identityRefusals]) {
    test(`${title}, where ${starts} begins`, async () => {
      await using lab = await createLab();
      const { gateway, peer } = await startBoth(lab, {
        ...setup,
        environment: { ...setup.environment, IPSEC_START: "add" },
      });
      await isReady(gateway);
      await initiateOnce(lab[starts]);
      await assertDiagnosed(lab.moon, gateway, verdict);
      assert.ok((await peer.sas()).every(({ children }) => children.length === 0));
      assert.equal(await stop(gateway), 0);
    });
  }
});

suite("an OCSP server is asked whether the peer's certificate was revoked", { concurrency: 2 }, () => {
  const startWithServer = async (lab: Lab, isRevoked: boolean): Promise<SiteProcess> => {
    const port = 8080;
    const sun = root.issue({ subject: subjects.sun, ocspServer: `http://${lab.sun.address}:${port}` });
    if (isRevoked) root.revoke(sun);
    await lab.sun.spawn(root.ocspServer(port)).waitForOutput(/waiting for OCSP client connections/);
    const environment = { IPSEC_REVOCATION: "strict", IPSEC_START: "add" };
    const { gateway } = await startBoth(lab, { sun, environment });
    await isReady(gateway);
    await initiateOnce(lab.moon);
    return gateway;
  };

  test("and believed where it says no", async () => {
    await using lab = await createLab();
    const gateway = await startWithServer(lab, false);
    await hasTunnels(gateway);
    await passes(lab);
    assert.deepEqual(diagnoses(gateway), []);
    assert.equal(await stop(gateway), 0);
  });

  test("and where it says yes", async () => {
    await using lab = await createLab();
    const gateway = await startWithServer(lab, true);
    await assertDiagnosed(lab.moon, gateway, {
      cause: "certificate-revoked",
      variables: ["IPSEC_REVOCATION"],
    });
    assert.equal(await stop(gateway), 0);
  });
});

test("a newer list of those revoked counts after a reload", async () => {
  await using lab = await createLab();
  const sun = root.issue({ subject: subjects.sun, revocationList: `file://${crlPath}` });
  const { gateway, peer } = await startBoth(lab, { sun, environment: { IPSEC_START: "add" } });
  await isReady(gateway);
  await initiateOnce(lab.sun);
  await passes(lab);
  root.revoke(sun);
  await lab.moon.writeFile(crlPath, root.revocationList());
  await reload(gateway);
  await passes(lab);
  await peer.swanctl("--terminate", "--ike", "site");
  await initiateOnce(lab.sun);
  await assertDiagnosed(lab.moon, gateway, {
    cause: "certificate-revoked",
    variables: ["IPSEC_REVOCATION"],
  });
  assert.equal(await stop(gateway), 0);
});

test("a renewed certificate takes effect with a reload, and so does the way from a key to certificates", async () => {
  await using lab = await createLab();
  const peer = await startPeer(lab, {});
  await peer.load(
    swanctlConf([
      {
        psk: Buffer.from(tunnelPsk),
        localAddress: lab.sun.address,
        remoteAddress: lab.moon.address,
        localNetworks: lab.sun.networks,
        remoteNetworks: lab.moon.networks,
      },
    ]),
  );
  const write = async (lines: readonly string[], issued: Issued, authority: Authority): Promise<void> => {
    await lab.moon.writeFile(`${directory}/site.env`, lines.join("\n"));
    await lab.moon.writeFile(`${directory}/cert.pem`, issued.certificate);
    await lab.moon.writeFile(`${directory}/key.pem`, issued.privateKey, 0o600);
    await lab.moon.writeFile(`${directory}/ca.pem`, authority.certificate);
  };
  await write([`IPSEC_PSK='${tunnelPsk}'`], moonIssued, root);
  const gateway = lab.moon.gateway(
    tunnelEnvironment(lab.moon, lab.sun, {
      ENVFILE: `${directory}/site.env`,
      IPSEC_START: "start",
      IPSEC_PSK: "",
    }),
  );
  await hasTunnels(gateway);
  const credentials = [
    "IPSEC_AUTH=pubkey",
    `IPSEC_CERT_FILE=${directory}/cert.pem`,
    `IPSEC_PRIVATE_KEY_FILE=${directory}/key.pem`,
    `IPSEC_CA_CERT_FILE=${directory}/ca.pem`,
    `IPSEC_REMOTEID='${sunId}'`,
  ];
  // With another key but the name of the old one, as when a CA is renewed.
  const renewedRoot = pki.root("/C=DE/O=Example/CN=root");
  for (const [authority, kind, signature] of [
    [root, "ecdsa", /\(myself\) with ECDSA_WITH_SHA256_DER successful$/],
    [root, "ed25519", /\(myself\) with ED25519 successful$/],
    [renewedRoot, "rsa", /\(myself\) with RSA_\S+ successful$/],
  ] as const) {
    const from = gateway.records().length;
    await writePeer(lab, { sun: authority.issue({ subject: subjects.sun }), peer: { authority } });
    await peer.load(peerText(lab, {}));
    await write(credentials, authority.issue({ subject: subjects.moon, kind }), authority);
    await reload(gateway);
    await gateway.waitForRecord(({ message }) => signature.test(`${message}`), { from });
    await waitFor("a tunnel by that certificate", async () => {
      const [sa] = await peer.sas();
      return sa?.fields["remote-id"] === moonId && sa.children.length > 0 ? true : undefined;
    });
    await passes(lab);
  }
  assert.deepEqual(diagnoses(gateway), []);
  assert.equal(await stop(gateway), 0);
});
