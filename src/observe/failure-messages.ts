import type { Cause, CauseName } from "./causes.ts";
import type { CharonGroup } from "./charon-line.ts";

/** One thing that charon or starter prints when something fails. */
export type FailureMessage = Partial<Pick<Cause, "severity" | "variables" | "meaning" | "remedy">> & {
  /** Matches a whole message; named groups become the values of the diagnosis. */
  readonly text: RegExp;
  /** charon's group; `starter` for plain lines, and both where it is absent. */
  readonly group?: CharonGroup | "starter";
  readonly cause: CauseName;
  /** Not the cause itself but what can follow from several: never displaces a precise diagnosis. */
  readonly vague?: true;
  /** A failure only if this follows in the same IKE SA: until then charon may find another way. */
  readonly onlyBefore?: RegExp;
  /** A failure from this number of retransmissions on; the third is sent after 1.6 seconds with the timing that we render. */
  readonly fromRetransmission?: number;
  /** Whom a line outside any IKE SA concerns: whoever sent the last packet, or the connection being loaded. */
  readonly concerns?: "sender" | "loaded";
};

/** charon goes on to look for another certificate of that identity. */
const nobodyTrusted = /^no trusted \S+ public key found for /;

/** The same; IKEv2 says no such thing once it has tried a key (`pubkey_authenticator.c`), and only refuses. */
const peerRefused = /^(?:no trusted \S+ public key found for |generating \w+ \w+ \d+ \[ .*N\(AUTH_FAILED\))/;

// Texts compared in strongSwan 5.9.8, 5.9.14 and 6.0.6; words of the C library in glibc and in musl.
// The first row that matches wins.
export const failureMessages: readonly FailureMessage[] = [
  // ── starter, configuration files
  {
    text: /^(?<place>\S+:\d+): (?<detail>syntax error.*)$/,
    cause: "configuration-invalid",
  },
  { text: /^invalid config file '(?<place>.*)'$/, cause: "configuration-invalid" },
  {
    text: /^# ignored conn '(?<connection>.*)' due to (?<detail>\d+ parsing errors?)$/,
    group: "starter",
    cause: "configuration-invalid",
  },
  {
    text: /^unable to start strongSwan -- fatal errors in config$/,
    group: "starter",
    cause: "configuration-invalid",
  },
  {
    text: /^can't reload config file due to errors -- keeping old one$/,
    group: "starter",
    cause: "configuration-invalid",
  },
  {
    text: /^algorithm '(?<algorithm>.*)' not recognized$/,
    group: "CFG",
    cause: "proposal-invalid",
    concerns: "loaded",
  },
  {
    text: /^skipped invalid proposal string: (?<proposal>.*)$/,
    group: "CFG",
    cause: "proposal-invalid",
    concerns: "loaded",
  },
  {
    text: /^installing trap failed, remote address unknown/,
    group: "CFG",
    cause: "trap-impossible",
    concerns: "loaded",
  },

  // ── secrets
  {
    text: /^opening secrets file '(?<file>.*)' failed: (?<reason>.*)$/,
    group: "CFG",
    cause: "secrets-unreadable",
  },
  { text: /^line (?<line>\d+): (?<reason>.*)$/, group: "CFG", cause: "secrets-unreadable" },

  // ── what the daemon needs from the host
  {
    text: /^unable to bind socket: Address (?:already )?in use$/,
    group: "NET",
    cause: "port-in-use",
  },
  { text: /^unable to bind socket: Permission denied$/, group: "NET", cause: "no-permission" },
  {
    // Only what a gateway cannot do without: farp, dhcp and others ask for more and are missed by nobody.
    text: /^(?:kernel|socket)-\S+ plugin (?:requires|might require) (?<capability>CAP_\w+) capability$/,
    cause: "no-permission",
  },
  {
    text: /^received netlink error: (?<reason>.*) \(1\)$/,
    group: "KNL",
    cause: "no-permission",
  },
  {
    text: /^no socket (?:implementation registered, sending failed|found to send IPv[46] packet from port \d+)$/,
    group: "NET",
    cause: "no-socket",
    concerns: "sender",
  },
  {
    text: /^failed to open \/dev\/net\/tun: (?<reason>.*)$/,
    group: "LIB",
    cause: "userspace-unavailable",
  },
  {
    text: /^failed to configure TUN device: (?<reason>.*)$/,
    group: "LIB",
    cause: "userspace-unavailable",
  },

  // ── the way to the peer
  {
    text: /^resolving '(?<name>.*)' failed: (?<reason>.*)$/,
    group: "LIB",
    cause: "name-unresolvable",
  },
  {
    text: /^unable to resolve (?<name>\S+), (?:initiate aborted|retrying in \d+s)$/,
    group: "IKE",
    cause: "name-unresolvable",
  },
  {
    text: /^error writing to socket: (?<reason>(?:Network (?:is )?unreachable|No route to host|Host is unreachable|Network is down|Cannot assign requested address|Address not available|Invalid argument))$/,
    group: "NET",
    cause: "no-route",
    concerns: "sender",
  },
  {
    text: /^error writing to socket: (?<reason>Operation not permitted|Permission denied)$/,
    group: "NET",
    cause: "blocked-by-firewall",
    concerns: "sender",
  },
  {
    text: /^(?:retransmit (?<retransmissions>\d+) of request with message ID 0|sending retransmit (?<retransmissions>\d+) of request message ID 0, seq 1)$/,
    group: "IKE",
    cause: "peer-silent",
    vague: true,
    fromRetransmission: 3,
  },
  {
    text: /^retransmit (?<retransmissions>\d+) of request with message ID 1$/,
    group: "IKE",
    cause: "peer-silent",
    vague: true,
    fromRetransmission: 3,
    meaning: "the peer answered the first message and is silent since",
    remedy: "let UDP 4500 and IP fragments pass in both directions",
  },
  {
    text: /^sending retransmit (?<retransmissions>\d+) of request message ID 0, seq 3$/,
    group: "IKE",
    cause: "peer-silent",
    vague: true,
    fromRetransmission: 3,
    variables: ["IPSEC_PSK", "IPSEC_LOCALID"],
    meaning:
      "the peer is silent since the first encrypted message: another pre-shared key, or UDP 4500 is blocked",
    remedy: "compare IPSEC_PSK and IPSEC_LOCALID with the peer, and let UDP 4500 pass in both directions",
  },
  {
    text: /^(?:retransmit (?<retransmissions>\d+) of request with|sending retransmit (?<retransmissions>\d+) of (?:request|response)) message ID \d+(?:, seq \d+)?$/,
    group: "IKE",
    cause: "peer-silent",
    vague: true,
    fromRetransmission: 3,
  },
  {
    text: /^giving up after (?<retransmissions>\d+) retransmits$/,
    group: "IKE",
    cause: "peer-silent",
    vague: true,
  },
  {
    text: /^(?:peer not responding, trying again \(\d+\/\d+\)|establishing IKE_SA failed, peer not responding|rekeying IKE_SA failed, peer not responding)$/,
    group: "IKE",
    cause: "peer-silent",
    vague: true,
  },
  {
    text: /^DPD check timed out, enforcing DPD action$/,
    group: "JOB",
    cause: "peer-silent",
    vague: true,
  },

  // ── IKE SA
  {
    text: /^no IKE config found for (?<localAddress>\S+?)\.\.\.(?<remoteAddress>\S+), sending NO_PROPOSAL_CHOSEN$/,
    group: "IKE",
    cause: "connection-unknown",
  },
  {
    text: /^received unsupported IKE version (?<version>\S+) from (?<remoteAddress>\S+), sending INVALID_MAJOR_VERSION$/,
    group: "NET",
    cause: "ike-version-mismatch",
    severity: "warn",
  },
  {
    text: /^received INVALID_MAJOR_VERSION (?:notify error|error notify)$/,
    group: "IKE",
    cause: "ike-version-mismatch",
  },
  {
    text: /^received NO_PROPOSAL_CHOSEN (?:notify error|error notify)$/,
    group: "IKE",
    cause: "ike-refused",
    vague: true,
  },
  {
    text: /^(?:received proposals unacceptable|no proposal found)$/,
    group: "IKE",
    cause: "ike-proposal-mismatch",
  },
  {
    // 5.9 says `DH group`, 6.0 `key exchange method`.
    text: /^(?:peer didn't accept (?:DH group|key exchange method) (?<offered>\S+), it requested (?<requested>\S+)|(?:DH group|key exchange method) (?<offered>\S+) unacceptable, requesting (?<requested>\S+))$/,
    group: "IKE",
    cause: "key-exchange-retried",
  },
  {
    text: /^tried \d+ shared keys? for '(?<localId>.*)' - '(?<remoteId>.*)', but MAC mismatched$/,
    group: "IKE",
    cause: "psk-mismatch",
  },
  {
    // IKEv1 derives its keys from the pre-shared key, so the first encrypted message is already garbage.
    text: /^invalid \w+_V1 payload length, decryption failed\?$/,
    group: "ENC",
    cause: "psk-mismatch",
  },
  {
    // IKEv1 goes on to look by address (`lookup_shared_key` in `src/libcharon/sa/ikev1/phase1.c`).
    text: /^no shared key found for '(?<localId>.*)'\[\S+\] - '(?<remoteId>.*)'\[\S+\]$/,
    group: "IKE",
    cause: "psk-not-found",
    onlyBefore: /^no shared key found for [^' ]+ - [^' ]+$/,
  },
  {
    text: /^no shared key found for '?(?<localId>.*?)'? - '?(?<remoteId>.*?)'?$/,
    group: "IKE",
    cause: "psk-not-found",
  },
  { text: /^no matching peer config found$/, group: "CFG", cause: "identity-mismatch" },
  { text: /^no peer config found$/, group: "IKE", cause: "identity-mismatch" },
  {
    text: /^found \d+ matching configs?, but none allows (?<authentication>.*) authentication using (?<mode>\w+) Mode$/,
    group: "IKE",
    cause: "authentication-failed",
    variables: ["IPSEC_AUTH", "IPSEC_KEYEXCHANGE"],
    meaning: "the peer wants to authenticate in a way that no connection allows",
    remedy: "set IPSEC_AUTH to what the peer uses, and IKEv1 to main mode at both ends",
  },
  {
    text: /^IDir '(?<receivedId>.*)' does not match to '(?<expectedId>.*)'$/,
    group: "IKE",
    cause: "identity-mismatch",
    meaning: "the peer calls itself something else than IPSEC_REMOTEID",
  },
  {
    // 6.0 adds the identity that came.
    text: /^constraint check failed: identity '(?<expectedId>.*?)'(?: \(\S+\))? required(?: |, not matched by '(?<receivedId>.*)' \(\S+\))?$/,
    group: "CFG",
    cause: "identity-mismatch",
    meaning: "the peer calls itself something else than IPSEC_REMOTEID",
    onlyBefore: /^no alternative config found$/,
  },
  {
    text: /^constraint check failed: certificate does not confirm identity '(?<expectedId>.*)' \(\S+\)$/,
    group: "CFG",
    cause: "certificate-untrusted",
    onlyBefore: /^no alternative config found$/,
  },
  {
    text: /^no alternative config found$/,
    group: "CFG",
    cause: "authentication-failed",
    vague: true,
    meaning: "the peer authenticated in a way that the connection does not allow",
  },
  {
    text: /^(?:subject|issuer) certificate invalid \(valid from (?<notBefore>.*) to (?<notAfter>.*)\)$/,
    group: "CFG",
    cause: "certificate-expired",
    onlyBefore: peerRefused,
  },
  {
    text: /^certificate was revoked on (?<revokedAt>.*), reason: (?<reason>.*)$/,
    group: "CFG",
    cause: "certificate-revoked",
    onlyBefore: peerRefused,
  },
  {
    text: /^(?:no issuer certificate found for|\s*self-signed certificate) "(?<subject>.*)"(?: is not trusted)?$/,
    group: "CFG",
    cause: "certificate-untrusted",
    meaning: "the peer's certificate leads to no CA of IPSEC_CA_CERT, nor is it IPSEC_REMOTE_CERT",
    onlyBefore: nobodyTrusted,
  },
  {
    text: /^rejecting certificate without digitalSignature or nonRepudiation keyUsage flags$/,
    group: "IKE",
    cause: "certificate-untrusted",
    variables: [],
    meaning: "the peer's certificate is not for signatures (key usage), and IKE signs",
    remedy: "the peer needs one made with keyUsage = digitalSignature",
    onlyBefore: peerRefused,
  },
  {
    text: /^signature validation failed, looking for another key$/,
    group: "IKE",
    cause: "certificate-untrusted",
    vague: true,
    variables: ["IPSEC_REMOTE_CERT", "IPSEC_CA_CERT"],
    meaning: "the peer signs with another key than that of the certificate by which it is trusted",
    remedy:
      "if the peer has a new certificate, put it into IPSEC_REMOTE_CERT_FILE, or its CA into IPSEC_CA_CERT_FILE",
    onlyBefore: peerRefused,
  },
  {
    text: /^constraint check failed: peer not authenticated (?:by CA|with peer cert) '(?<expected>.*)'$/,
    group: "CFG",
    cause: "certificate-untrusted",
    meaning: "the peer's certificate is not that of IPSEC_REMOTE_CERT, nor of the CA of IPSEC_CA_CERT",
    onlyBefore: /^no alternative config found$/,
  },
  {
    text: /^constraint check failed: RULE_(?:CRL|OCSP)_VALIDATION is (?<status>\w+), but requires at least \w+$/,
    group: "CFG",
    cause: "certificate-status-unknown",
    onlyBefore: /^no alternative config found$/,
  },
  {
    text: /^no trusted (?<keyType>\S+) public key found for '(?<remoteId>.*)'$/,
    group: "IKE",
    cause: "certificate-untrusted",
    variables: ["IPSEC_CA_CERT", "IPSEC_REMOTE_CERT", "IPSEC_REMOTEID", "IPSEC_AUTH"],
    meaning: "the peer signs, and no certificate of its identity is trusted",
    remedy:
      "set IPSEC_CA_CERT_FILE to the CA of the peer, and IPSEC_REMOTEID to an identity in its certificate; IPSEC_AUTH is the same at both ends",
  },
  {
    // IKEv1 names the kind of key that it looks for.
    text: /^no (?:\S+ )?private key found for '(?<localId>.*)'$/,
    group: "IKE",
    cause: "private-key-missing",
  },
  {
    text: /^received AUTHENTICATION_FAILED (?:notify error|error notify)$/,
    group: "IKE",
    cause: "authentication-failed",
    vague: true,
  },
  {
    // IKEv1's INVALID_KEY_INFORMATION has the number, and so in the log the name, of IKEv2's INVALID_KE_PAYLOAD.
    // strongSwan answers so when it has no pre-shared key for us (`src/libcharon/sa/ikev1/tasks/main_mode.c`).
    text: /^received (?:INVALID_KE_PAYLOAD|PAYLOAD_MALFORMED|INVALID_HASH_INFORMATION) error notify$/,
    group: "IKE",
    cause: "authentication-failed",
    vague: true,
    meaning: "the peer has no pre-shared key for our identity, or another one",
  },

  // ── CHILD SA
  {
    text: /^received INVALID_ID_INFORMATION error notify$/,
    group: "IKE",
    cause: "traffic-selector-mismatch",
  },
  {
    text: /^received NO_PROPOSAL_CHOSEN notify, no CHILD_SA built$/,
    group: "IKE",
    cause: "child-refused",
    vague: true,
  },
  {
    text: /^received (?:TS_UNACCEPTABLE|SINGLE_PAIR_REQUIRED|INVALID_SELECTORS) notify, no CHILD_SA built$/,
    group: "IKE",
    cause: "traffic-selector-mismatch",
  },
  {
    text: /^received (?<notify>\w+) notify, no CHILD_SA built$/,
    group: "IKE",
    cause: "child-failed",
    vague: true,
  },
  {
    text: /^(?:no acceptable proposal found|no matching proposal found(?:, sending NO_PROPOSAL_CHOSEN)?)$/,
    group: "IKE",
    cause: "child-proposal-mismatch",
  },
  {
    text: /^traffic selectors (?<localNetworks>.*?) === (?<remoteNetworks>.*) unacceptable$/,
    group: "IKE",
    cause: "traffic-selector-mismatch",
  },
  {
    // The initiator's networks come first here, so ours are the second.
    text: /^no matching CHILD_SA config found for (?<remoteNetworks>.*?) === (?<localNetworks>.*)$/,
    group: "IKE",
    cause: "traffic-selector-mismatch",
  },
  {
    text: /^no acceptable traffic selectors found$/,
    group: "IKE",
    cause: "traffic-selector-mismatch",
  },
  {
    // EPROTONOSUPPORT: the kernel has no ESP (`xfrm_init_state`). Newer charons print the kernel's own words.
    text: /^received netlink error: (?<reason>.*) \(93\)$/,
    group: "KNL",
    cause: "esp-unavailable",
    variables: ["IPSEC_DATAPLANE"],
    meaning: "this kernel has no ESP",
    remedy: "load esp4 or esp6 on the host, or set IPSEC_DATAPLANE=userspace",
  },
  {
    text: /^algorithm (?<algorithm>\S+) not supported by kernel!$/,
    group: "KNL",
    cause: "esp-unavailable",
    variables: ["IPSEC_ESPCIPHER"],
  },
  { text: /^unable to add SAD entry with SPI /, group: "KNL", cause: "esp-unavailable" },
  {
    text: /^unable to install (?:inbound |and |outbound )+IPsec SA \(SAD\) in kernel$/,
    group: "IKE",
    cause: "esp-unavailable",
  },
  { text: /^unable to allocate SPIs? from kernel$/, group: "IKE", cause: "esp-unavailable" },
  {
    text: /^feature CUSTOM:libcharon in critical plugin 'charon' has unmet dependency: CUSTOM:kernel-ipsec$/,
    group: "LIB",
    cause: "esp-unavailable",
  },
  {
    text: /^unable to install IPsec policies \(SPD\) in kernel$/,
    group: "IKE",
    cause: "policy-refused",
  },
  {
    text: /^failed to establish CHILD_SA, keeping IKE_SA$/,
    group: "IKE",
    cause: "child-failed",
    vague: true,
  },
];
