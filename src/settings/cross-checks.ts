import { type Problem, quoted } from "../failure.ts";
import { isDefaultRoute, type Network, overlaps } from "../ipsec/network.ts";
import {
  unusableWithIkev1,
  usableWithIkev1,
  withoutLinuxEsp,
  withoutUserspaceEsp,
} from "../ipsec/proposal-checks.ts";
import { checkCertificates } from "./certificate-checks.ts";
import { localIdentity, remoteIdentity } from "./identities.ts";
import { checkPackets } from "./packet-checks.ts";
import type { Purpose, Values } from "./settings.ts";
import { definitionOf, type VariableName } from "./variables.ts";
import { virtualInterfaceVariable } from "./virtual-interface-variable.ts";
import { checkXfrmInterface } from "./xfrm-checks.ts";

export type Context = {
  readonly purpose: Purpose;
  readonly isGiven: (name: VariableName) => boolean;
  /** Whether the variable alone was refused already, so that it is not reported twice. */
  readonly hasFailed: (name: VariableName) => boolean;
  /** The variable, with its file if it came from one. */
  readonly nameOf: (name: VariableName) => string;
  /** By which certificates are valid or not. */
  readonly now: Date;
};

type Problems = { readonly errors: readonly Problem[]; readonly warnings: readonly Problem[] };

export type Collector = {
  readonly error: (variables: readonly VariableName[], message: string, hint: string) => void;
  readonly warn: (variables: readonly VariableName[], message: string, hint: string) => void;
};

/** Checks what concerns several variables. Variables that failed alone are treated as not given. */
export const crossChecks = (values: Values, context: Context): Problems => {
  const errors: Problem[] = [];
  const warnings: Problem[] = [];
  const collect = {
    error: (names: readonly VariableName[], message: string, hint: string) =>
      errors.push({ variable: names.join(", "), message, hint }),
    warn: (names: readonly VariableName[], message: string, hint: string) =>
      warnings.push({ variable: names.join(", "), message, hint }),
  };
  checkVirtualInterface(values, context, collect);
  checkXfrmInterface(values, context, collect);
  checkPackets(values, context, collect);
  if (context.purpose === "init") return { errors, warnings };
  checkHostRoutes(values, context, collect);
  checkRevocation(values, collect);
  if (values.IPSEC_USE_MANUAL_CONFIG) return { errors, warnings };
  checkRequired(values, context, collect);
  checkCertificates(values, context, collect);
  checkEnds(values, context, collect);
  checkNetworks(values, collect);
  checkExchange(values, context, collect);
  checkStart(values, context, collect);
  return { errors, warnings };
};

/** `off` is a setting of charon, the others are of connections. */
const checkRevocation = (values: Values, { warn }: Collector): void => {
  const { IPSEC_REVOCATION: policy } = values;
  if (policy === "strict" && values.IPSEC_USE_MANUAL_CONFIG) {
    warn(
      ["IPSEC_REVOCATION", "IPSEC_USE_MANUAL_CONFIG"],
      "IPSEC_REVOCATION=strict has no effect with IPSEC_USE_MANUAL_CONFIG=yes",
      "write it into the mounted connections: strictcrlpolicy=yes in ipsec.conf, revocation = strict in swanctl.conf",
    );
  }
  if (policy === "off" && values.IPSEC_MANUAL_CHARON) {
    warn(
      ["IPSEC_REVOCATION", "IPSEC_MANUAL_CHARON"],
      "IPSEC_REVOCATION=off has no effect with IPSEC_MANUAL_CHARON=yes",
      "write it into the mounted file: enable_crl = no and enable_ocsp = no in charon.plugins.revocation",
    );
  }
};

const checkRequired = (values: Values, context: Context, { error }: Collector): void => {
  for (const name of ["IPSEC_LOCALNET", "IPSEC_REMOTENET", "IPSEC_PSK"] as const) {
    if (context.isGiven(name) || context.hasFailed(name)) continue;
    if (name === "IPSEC_PSK" && values.IPSEC_AUTH !== "psk") continue;
    const { example, secret } = definitionOf(name);
    const hint = secret
      ? `make a key with: openssl rand -base64 32, and give it as ${name} or in a file that ${name}_FILE names`
      : `for example ${name}=${example}`;
    error(
      [name],
      `${name} is not set`,
      `${hint}; or set IPSEC_USE_MANUAL_CONFIG=yes and mount your own files`,
    );
  }
};

const checkEnds = (values: Values, context: Context, { error, warn }: Collector): void => {
  const { IPSEC_LOCALIP: local, IPSEC_REMOTEIP: remote } = values;
  const [localId, remoteId] = [localIdentity(values), remoteIdentity(values)];
  for (const [ip, id, endpoint, identity, certificate] of [
    ["IPSEC_LOCALIP", "IPSEC_LOCALID", local, localId, "IPSEC_CERT"],
    ["IPSEC_REMOTEIP", "IPSEC_REMOTEID", remote, remoteId, "IPSEC_REMOTE_CERT"],
  ] as const) {
    if (
      endpoint?.kind === "any" &&
      identity === undefined &&
      !context.hasFailed(id) &&
      !context.hasFailed(ip) &&
      !(values.IPSEC_AUTH === "pubkey" && (certificate === "IPSEC_CERT" || context.isGiven(certificate)))
    ) {
      error(
        [id, ip],
        `${id} is not set, and ${ip}=%any gives no identity`,
        `for example ${id}=${definitionOf(id).example}`,
      );
    }
  }
  if (values.IPSEC_LOCALID?.kind === "any") {
    error(
      ["IPSEC_LOCALID"],
      "IPSEC_LOCALID=%any is no identity to present",
      "for example IPSEC_LOCALID=moon.example.com",
    );
  }
  if (localId !== undefined && localId.kind !== "any" && localId.text.includes("*")) {
    const what = "has a wildcard, and an identity to present has none";
    if (values.IPSEC_LOCALID !== undefined)
      error(
        ["IPSEC_LOCALID"],
        `IPSEC_LOCALID=${quoted(localId.text)} ${what}`,
        "wildcards are for IPSEC_REMOTEID, for example IPSEC_REMOTEID=*.example.com",
      );
    else if (!context.hasFailed("IPSEC_LOCALID"))
      error(
        ["IPSEC_CERT"],
        `${context.nameOf("IPSEC_CERT")}: the name ${quoted(localId.text)} of the certificate ${what}`,
        "set IPSEC_LOCALID to another name of it, or take a certificate for this gateway",
      );
  }
  if (values.IPSEC_REMOTEID?.kind === "any" && values.IPSEC_REMOTE_CERT === undefined) {
    warn(
      ["IPSEC_REMOTEID"],
      values.IPSEC_AUTH === "psk"
        ? "IPSEC_REMOTEID=%any accepts every peer that knows the key"
        : "IPSEC_REMOTEID=%any accepts every peer with a certificate of the CA",
      "name the peer: the identity that it presents, for example IPSEC_REMOTEID=sun.example.com",
    );
  }
  if (
    remote?.kind === "name" &&
    remoteId?.kind === "fqdn" &&
    values.IPSEC_REMOTEID === undefined &&
    !context.hasFailed("IPSEC_REMOTEID")
  ) {
    warn(
      ["IPSEC_REMOTEID", "IPSEC_REMOTEIP"],
      `IPSEC_REMOTEID is not set, so the peer must present the name ${remote.name} of IPSEC_REMOTEIP as its identity`,
      "set IPSEC_REMOTEID to what the peer presents (often its address)",
    );
  }
  if (local?.kind === "address" && remote?.kind === "address") {
    if (local.address.text === remote.address.text) {
      error(
        ["IPSEC_LOCALIP", "IPSEC_REMOTEIP"],
        `IPSEC_LOCALIP and IPSEC_REMOTEIP are both ${local.address.text}`,
        "each end has its own address",
      );
    }
  }
  checkFamilies(values, { error, warn });
  if (localId && remoteId && localId.kind !== "any" && JSON.stringify(localId) === JSON.stringify(remoteId)) {
    warn(
      ["IPSEC_LOCALID", "IPSEC_REMOTEID"],
      `both ends have the identity ${quoted(localId.text)}`,
      "give each end an identity of its own, so that keys and logs tell them apart",
    );
  }
};

const checkFamilies = (values: Values, { error }: Collector): void => {
  const { IPSEC_LOCALIP: local, IPSEC_REMOTEIP: remote } = values;
  if (local?.kind !== "address" || remote?.kind !== "address") return;
  if (local.address.family === remote.address.family) return;
  error(
    ["IPSEC_LOCALIP", "IPSEC_REMOTEIP"],
    `IPSEC_LOCALIP=${local.address.text} and IPSEC_REMOTEIP=${remote.address.text} are not of one family`,
    "both IPv4 or both IPv6",
  );
};

const checkNetworks = (values: Values, { error }: Collector): void => {
  const { IPSEC_LOCALNET: local, IPSEC_REMOTENET: remote } = values;
  const key = values.IPSEC_VTI_KEY ?? values.IPSEC_XFRM_IF_ID;
  if (local === undefined || remote === undefined) return;
  if (!local.some((one) => remote.some((other) => one.family === other.family))) {
    error(
      ["IPSEC_LOCALNET", "IPSEC_REMOTENET"],
      `IPSEC_LOCALNET=${list(local)} and IPSEC_REMOTENET=${list(remote)} have no address family in common`,
      "a tunnel needs a local and a remote network that are both IPv4 or both IPv6",
    );
  }
  const everything = key === undefined ? remote.find(isDefaultRoute) : undefined;
  if (everything !== undefined) {
    error(
      ["IPSEC_REMOTENET"],
      `IPSEC_REMOTENET=${everything.text} without a virtual interface would send everything, this host's own traffic too, into the tunnel`,
      "set IPSEC_XFRM_IF_ID or IPSEC_VTI_KEY and route over the interface with IPSEC_XFRM_STATICROUTES or IPSEC_VTI_STATICROUTES, or name the peer's networks",
    );
    return;
  }
  for (const one of local) {
    for (const other of remote) {
      if (!overlaps(one, other) || (key !== undefined && (isDefaultRoute(one) || isDefaultRoute(other))))
        continue;
      error(
        ["IPSEC_LOCALNET", "IPSEC_REMOTENET"],
        `IPSEC_LOCALNET=${one.text} and IPSEC_REMOTENET=${other.text} overlap, so it is undecided where their addresses are`,
        "each side shares networks that the other does not have",
      );
    }
  }
};

const checkExchange = (values: Values, context: Context, { error, warn }: Collector): void => {
  const exchange = values.IPSEC_KEYEXCHANGE;
  if (exchange === "ikev1") checkIkev1Proposals(values, context, { error, warn });
  const several = (values.IPSEC_LOCALNET?.length ?? 0) > 1 || (values.IPSEC_REMOTENET?.length ?? 0) > 1;
  if (exchange === "ike" && several) {
    warn(
      ["IPSEC_KEYEXCHANGE", "IPSEC_LOCALNET", "IPSEC_REMOTENET"],
      "with IPSEC_KEYEXCHANGE=ike a peer that speaks IKEv1 gets the first pair of networks only",
      "set IPSEC_KEYEXCHANGE=ikev1 or ikev2, whichever the peer speaks",
    );
  }
  if (context.isGiven("IPSEC_DPD_TIMEOUT") && exchange === "ikev2") {
    warn(
      ["IPSEC_DPD_TIMEOUT"],
      "IPSEC_DPD_TIMEOUT has no effect with IKEv2",
      "IKEv2 gives a peer up after its retransmissions (RFC 7296 §2.4)",
    );
  }
  if (values.IPSEC_IKELIFETIME < values.IPSEC_LIFETIME) {
    warn(
      ["IPSEC_IKELIFETIME", "IPSEC_LIFETIME"],
      `IPSEC_IKELIFETIME (${values.IPSEC_IKELIFETIME} s) is shorter than IPSEC_LIFETIME (${values.IPSEC_LIFETIME} s)`,
      "the IKE SA should outlive the keys that are renewed through it",
    );
  }
  if (values.IPSEC_DATAPLANE === "userspace") {
    for (const problem of withoutUserspaceEsp(values.IPSEC_ESPCIPHER ?? [])) {
      error(
        ["IPSEC_ESPCIPHER"],
        `IPSEC_ESPCIPHER: ${problem.message}`,
        problem.hint ?? "choose another algorithm",
      );
    }
    return;
  }
  for (const problem of withoutLinuxEsp(values.IPSEC_ESPCIPHER ?? [])) {
    const hint = "choose another cipher, or IPSEC_DATAPLANE=userspace";
    (values.IPSEC_DATAPLANE === "kernel" ? error : warn)(
      ["IPSEC_ESPCIPHER"],
      `IPSEC_ESPCIPHER: ${problem.message}`,
      hint,
    );
  }
};

/** The defaults offer both; a peer that speaks IKEv1 takes their classic half, which needs no warning. */
const checkIkev1Proposals = (values: Values, context: Context, { error, warn }: Collector): void => {
  for (const name of ["IPSEC_IKECIPHER", "IPSEC_ESPCIPHER"] as const) {
    if (!context.isGiven(name) || context.hasFailed(name)) continue;
    const report = usableWithIkev1(values[name]).length === 0 ? error : warn;
    for (const { message, hint } of unusableWithIkev1(values[name])) {
      report([name, "IPSEC_KEYEXCHANGE"], `${name}: ${message}`, hint ?? "set IPSEC_KEYEXCHANGE=ikev2");
    }
  }
};

const checkStart = (values: Values, context: Context, { error }: Collector): void => {
  if (
    values.IPSEC_REMOTEIP?.kind !== "any" ||
    !context.isGiven("IPSEC_START") ||
    values.IPSEC_START === "add"
  )
    return;
  error(
    ["IPSEC_START", "IPSEC_REMOTEIP"],
    `IPSEC_START=${values.IPSEC_START} cannot start a tunnel to IPSEC_REMOTEIP=%any, whose address is unknown`,
    "set IPSEC_REMOTEIP, or IPSEC_START=add and let the peer start it",
  );
};

const checkVirtualInterface = (values: Values, context: Context, { error, warn }: Collector): void => {
  const { IPSEC_VTI_KEY: key, IPSEC_REMOTEIP: remote } = values;
  const { IPSEC_VTI_IPADDR_LOCAL: localAddress, IPSEC_VTI_IPADDR_PEER: peerAddress } = values;
  const details = ["IPSEC_VTI_STATICROUTES", "IPSEC_VTI_IPADDR_LOCAL", "IPSEC_VTI_IPADDR_PEER"] as const;
  const given = details.filter((name) => context.isGiven(name));
  if (key === undefined) {
    if (context.hasFailed("IPSEC_VTI_KEY")) return;
    if (given.length > 0) {
      warn(
        given,
        `${given.join(", ")} without IPSEC_VTI_KEY: there is no virtual interface`,
        "for example IPSEC_VTI_KEY=42",
      );
    }
    return;
  }
  // MARK_UNIQUE and MARK_UNIQUE_DIR of libstrongswan/ipsec/ipsec_types.h.
  if (key >= 0xffff_fffe && context.purpose === "gateway" && !values.IPSEC_USE_MANUAL_CONFIG) {
    error(
      ["IPSEC_VTI_KEY"],
      `IPSEC_VTI_KEY=${key} cannot mark packets: to the IKE daemon it means a mark of its own choice`,
      "take another number, for example IPSEC_VTI_KEY=42",
    );
  }
  if (remote?.kind === "name") {
    error(
      ["IPSEC_REMOTEIP", "IPSEC_VTI_KEY"],
      `IPSEC_REMOTEIP=${remote.name} is a name, which cannot be the end of a virtual interface`,
      "give the peer's address, or %any",
    );
  }
  if (context.purpose === "init") checkFamilies(values, { error, warn });
  if (
    peerAddress !== undefined &&
    localAddress === undefined &&
    !context.hasFailed("IPSEC_VTI_IPADDR_LOCAL")
  ) {
    error(
      ["IPSEC_VTI_IPADDR_PEER", "IPSEC_VTI_IPADDR_LOCAL"],
      "IPSEC_VTI_IPADDR_PEER is set and IPSEC_VTI_IPADDR_LOCAL is not",
      "for example IPSEC_VTI_IPADDR_LOCAL=169.254.10.1",
    );
  }
  if (
    peerAddress !== undefined &&
    localAddress !== undefined &&
    localAddress.address.family !== peerAddress.family
  ) {
    error(
      ["IPSEC_VTI_IPADDR_LOCAL", "IPSEC_VTI_IPADDR_PEER"],
      `IPSEC_VTI_IPADDR_LOCAL=${localAddress.address.text} and IPSEC_VTI_IPADDR_PEER=${peerAddress.text} are not of one family`,
      "both IPv4 or both IPv6",
    );
  }
  if (values.IPSEC_DATAPLANE === "userspace") {
    error(
      ["IPSEC_VTI_KEY", "IPSEC_DATAPLANE"],
      "IPSEC_VTI_KEY needs ESP in the kernel, and IPSEC_DATAPLANE=userspace excludes it",
      "set IPSEC_DATAPLANE=kernel or auto, or leave IPSEC_VTI_KEY out",
    );
  }
};

const checkHostRoutes = (values: Values, context: Context, { error, warn }: Collector): void => {
  if (!values.SET_ROUTE_DEFAULT_TABLE) return;
  const virtual = virtualInterfaceVariable(values);
  if (virtual !== undefined) {
    const routes = virtual === "IPSEC_VTI_KEY" ? "IPSEC_VTI_STATICROUTES" : "IPSEC_XFRM_STATICROUTES";
    warn(
      ["SET_ROUTE_DEFAULT_TABLE", virtual],
      `SET_ROUTE_DEFAULT_TABLE=yes has no effect with ${virtual}: what is routed past the virtual interface would leave in clear`,
      `leave it out; ${routes} routes networks into the tunnel`,
    );
    return;
  }
  if (!values.IPSEC_USE_MANUAL_CONFIG) return;
  if (values.IPSEC_REMOTENET === undefined && !context.hasFailed("IPSEC_REMOTENET")) {
    error(
      ["SET_ROUTE_DEFAULT_TABLE", "IPSEC_REMOTENET"],
      "SET_ROUTE_DEFAULT_TABLE=yes needs IPSEC_REMOTENET, in manual configuration too",
      "for example IPSEC_REMOTENET=10.2.0.0/16",
    );
  }
};

const list = (networks: readonly Network[]): string => networks.map((network) => network.text).join(",");
