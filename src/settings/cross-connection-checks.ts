import { type Place, type Problem, placeText, quoted } from "../failure.ts";
import { endpointText } from "../ipsec/address.ts";
import type { Certificate } from "../ipsec/certificate.ts";
import { authoritiesIn } from "./authentication.ts";
import { certificateOf, localIdentity, remoteIdentity } from "./identities.ts";
import type { Purpose, Values } from "./settings.ts";
import { checkSharedInterfaces } from "./shared-interface-checks.ts";
import { type Claim, findSharedNetworks } from "./shared-networks.ts";
import type { VariableName } from "./variables.ts";

/** A connection of a file. Of the values those that failed their checks are missing. */
export type NamedConnection = { readonly name: string; readonly place: Place; readonly values: Values };

/** Checks what several connections of one gateway may not have in common. A problem stands where the later one does. */
export const crossConnectionChecks = (
  connections: readonly NamedConnection[],
  purpose: Purpose,
): Problems => {
  const rendered =
    purpose === "init" ? [] : connections.filter(({ values }) => !values.IPSEC_USE_MANUAL_CONFIG);
  const networks = networkChecks(rendered);
  return {
    errors: [
      ...interfaceChecks(connections),
      ...checkSharedInterfaces(connections.map(({ values }) => values)),
      ...keyChecks(rendered),
      ...peerCertificateChecks(rendered),
      ...rootChecks(rendered),
      ...networks.errors,
    ],
    warnings: networks.warnings,
  };
};

const interfaceChecks = (connections: readonly NamedConnection[]): readonly Problem[] => [
  ...repeated(connections, ["IPSEC_VTI_KEY"], interfaceKey, (first) => ({
    message: `IPSEC_VTI_KEY is also that of ${first.name}, and makes one interface`,
    hint: "each virtual interface has a key of its own",
  })),
  ...repeated(connections, ["IPSEC_LOCALIP", "IPSEC_REMOTEIP"], endsOfInterface, (first) => ({
    message: `its virtual interface has the ends of that of ${first.name}, by which the kernel knows them`,
    hint: "one VTI for each pair of IPSEC_LOCALIP and IPSEC_REMOTEIP",
  })),
];

const keyChecks = (connections: readonly NamedConnection[]): readonly Problem[] => {
  const inMainMode = connections.filter(({ values }) => values.IPSEC_KEYEXCHANGE !== "ikev2");
  return [
    ...repeated(connections, ["IPSEC_LOCALID", "IPSEC_REMOTEID"], identitiesAndEnds, (first) => ({
      message: `its ends and their identities are those of ${first.name}, so nobody can tell the two apart`,
      hint: "put the networks of both into one connection, or give one end another identity",
    })),
    ...differing(
      connections,
      ["IPSEC_PSK", "IPSEC_LOCALID", "IPSEC_REMOTEID"],
      pskOf,
      identities,
      (first) => ({
        message: `its key is not that of ${first.name}, though its identities are, by which a key is found`,
        hint: "one pair of identities has one key",
      }),
    ),
    ...differing(inMainMode, ["IPSEC_PSK", "IPSEC_LOCALIP", "IPSEC_REMOTEIP"], pskOf, ends, (first) => ({
      message: `its key is not that of ${first.name}, though its ends are, by which IKEv1 finds a key (RFC 2409 §5.4)`,
      hint: "use IKEv2, or one key for both",
    })),
  ];
};

/** strongSwan takes the first that it has for an identity and a kind of key (get_pretrusted_cert() in credential_manager.c). */
const peerCertificateChecks = (connections: readonly NamedConnection[]): readonly Problem[] =>
  differing(connections, ["IPSEC_REMOTE_CERT", "IPSEC_REMOTEID"], pinnedOf, pinnedIdentity, (first) => ({
    message: `its IPSEC_REMOTE_CERT is not that of ${first.name}, though its peer has the same identity, by which a certificate is found`,
    hint: "give both the certificate that the peer has now",
  }));

/**
 * ipsec.conf(5) names the root of a connection by its subject, and strongSwan takes any CA that has it, of whichever
 * connection it is and wherever it stands in a chain.
 */
const rootChecks = (connections: readonly NamedConnection[]): readonly Problem[] => {
  const given = connections.flatMap((connection) =>
    authoritiesOf(connection).map((authority) => ({ connection, authority })),
  );
  const named = new Set(
    given.flatMap(({ authority }) => (authority.isSelfSigned ? [authority.subject.text] : [])),
  );
  const seen = new Map<string, (typeof given)[number]>();
  return given.flatMap((one) => {
    const { subject, fingerprint } = one.authority;
    const known = seen.get(subject.text) ?? one;
    seen.set(subject.text, known);
    const isOther = known.connection !== one.connection && known.authority.fingerprint !== fingerprint;
    if (!isOther || !named.has(subject.text)) return [];
    return [
      problemOf(one.connection, ["IPSEC_CA_CERT", "IPSEC_BACKEND"], {
        message: `its CA is not that of ${known.connection.name}, though both call themselves ${quoted(subject.text)}, by which ipsec.conf finds them`,
        hint: "set IPSEC_BACKEND=swanctl",
      }),
    ];
  });
};

/** Each once. */
const authoritiesOf = ({ values }: NamedConnection): readonly Certificate[] => {
  if (values.IPSEC_AUTH !== "pubkey" || values.IPSEC_BACKEND !== "stroke") return [];
  const { roots, trusted, own } = authoritiesIn(values);
  return [...new Map([...roots, ...trusted, ...own].map((one) => [one.fingerprint, one])).values()];
};

type Problems = { readonly errors: readonly Problem[]; readonly warnings: readonly Problem[] };

type Described = { readonly message: string; readonly hint: string };

const interfaceKey = ({ IPSEC_VTI_KEY: key }: Values): string | undefined =>
  key === undefined ? undefined : `${key}`;

const endsOfInterface = (values: Values): string | undefined =>
  values.IPSEC_VTI_KEY === undefined ? undefined : ends(values);

const ends = ({ IPSEC_LOCALIP: local, IPSEC_REMOTEIP: remote }: Values): string | undefined =>
  local && remote && `${endpointText(local)} ${endpointText(remote)}`;

const identities = (values: Values): string | undefined => {
  const [local, remote] = [localIdentity(values), remoteIdentity(values)];
  return local && remote && JSON.stringify([local, remote]);
};

const identitiesAndEnds = (values: Values): string | undefined => {
  const [who, where] = [identities(values), ends(values)];
  return who && where && `${who} ${where}`;
};

/** Complains of each connection whose key an earlier one has. */
const repeated = (
  connections: readonly NamedConnection[],
  variables: readonly VariableName[],
  keyOf: (values: Values) => string | undefined,
  describe: (first: NamedConnection) => Described,
): readonly Problem[] => {
  const seen = new Map<string, NamedConnection>();
  return connections.flatMap((connection) => {
    const key = keyOf(connection.values);
    if (key === undefined) return [];
    const first = seen.get(key);
    if (first !== undefined) return [problemOf(connection, variables, describe(first))];
    seen.set(key, connection);
    return [];
  });
};

/** Complains of each connection that shares the key with an earlier one and has another credential, told by its bytes. */
const differing = (
  connections: readonly NamedConnection[],
  variables: readonly VariableName[],
  credentialOf: (values: Values) => Uint8Array | undefined,
  keyOf: (values: Values) => string | undefined,
  describe: (first: NamedConnection) => Described,
): readonly Problem[] => {
  const seen = new Map<string, { readonly first: NamedConnection; readonly credential: Uint8Array }>();
  return connections.flatMap((connection) => {
    const key = keyOf(connection.values);
    const credential = credentialOf(connection.values);
    if (key === undefined || credential === undefined) return [];
    const known = seen.get(key) ?? { first: connection, credential };
    seen.set(key, known);
    return Buffer.compare(known.credential, credential) === 0
      ? []
      : [problemOf(connection, variables, describe(known.first))];
  });
};

const pskOf = ({ IPSEC_AUTH: method, IPSEC_PSK: psk }: Values): Uint8Array | undefined =>
  method === "psk" ? psk?.reveal() : undefined;

const pinnedOf = (values: Values): Uint8Array | undefined => certificateOf(values, "IPSEC_REMOTE_CERT")?.der;

/** In lower case, since strongSwan compares names so. */
const pinnedIdentity = (values: Values): string | undefined => {
  const identity = remoteIdentity(values);
  const kind = certificateOf(values, "IPSEC_REMOTE_CERT")?.publicKey.asymmetricKeyType;
  return identity === undefined || identity.kind === "any"
    ? undefined
    : `${kind} ${identity.kind} ${identity.text.toLowerCase()}`;
};

/**
 * Where neither routes nor the ends of an interface tell, the networks alone decide which tunnel a packet takes: without
 * virtual interfaces, and among those that share an XFRM interface.
 */
const networkChecks = (connections: readonly NamedConnection[]): Problems => {
  const alike = Map.groupBy(
    connections.filter(({ values }) => values.IPSEC_VTI_KEY === undefined),
    ({ values }) => values.IPSEC_XFRM_IF_ID,
  );
  const found = [...alike].map(([id, sharing]) => ({ id, ...findSharedNetworks(sharing.flatMap(claimOf)) }));
  return {
    errors: found
      .flatMap(({ pairs }) => pairs)
      .map(({ first, second, local, remote }) =>
        problemOf(second, networkVariables, {
          message: `packets from ${local.text} to ${remote.text} are those of ${first.name} already`,
          hint: "a pair of networks has one tunnel; for two ways to one network each has a virtual interface of its own",
        }),
      ),
    // Over an interface one peer may well have everything that the others have not.
    warnings: found
      .flatMap(({ id, enclosures }) => (id === undefined ? enclosures : []))
      .map(({ outer, network, inner }) =>
        problemOf(outer, networkVariables, {
          message: `${network.text} encloses ${listed(inner.map((one) => `${one.network.text} of ${one.owner.name}`))}, where the smaller network wins`,
          hint: "name the networks that are really behind each peer, unless it is meant so",
        }),
      ),
  };
};

const claimOf = (owner: NamedConnection): readonly Claim<NamedConnection>[] => {
  const { IPSEC_LOCALNET: locals, IPSEC_REMOTENET: remotes } = owner.values;
  return locals && remotes ? [{ owner, locals, remotes }] : [];
};

const networkVariables = ["IPSEC_LOCALNET", "IPSEC_REMOTENET"] as const;

const listed = (texts: readonly string[]): string =>
  texts.length > 3 ? `${texts.slice(0, 3).join(", ")} and ${texts.length - 3} more` : texts.join(", ");

const problemOf = (
  { place }: NamedConnection,
  variables: readonly VariableName[],
  { message, hint }: Described,
): Problem => ({ variable: variables.join(", "), message: `${placeText(place)}: ${message}`, hint, place });
