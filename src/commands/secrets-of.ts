import { type Secret, secret } from "../secret.ts";
import type { ConnectionSettings, Settings } from "../settings/settings.ts";

/** Whatever of the settings no output may show, once, since many connections may have one key. */
export const secretsOf = ({ connections }: Settings): readonly Secret[] => [
  ...new Map(
    connections
      .flatMap(secretsOfConnection)
      .map((one) => [Buffer.from(one.reveal()).toString("latin1"), one]),
  ).values(),
];

const secretsOfConnection = ({
  IPSEC_PSK: psk,
  IPSEC_PRIVATE_KEY: privateKey,
  IPSEC_PRIVATE_KEY_PASSPHRASE: passphrase,
  authentication,
}: ConnectionSettings): readonly Secret[] => [
  ...[psk, privateKey, passphrase].filter((one) => one !== undefined),
  ...(authentication.method === "pubkey"
    ? [authentication.privateKey, ...linesOf(authentication.privateKey)]
    : []),
  ...(privateKey === undefined ? [] : linesOf(privateKey)),
];

/** Of a key in PEM each line alone, since whoever logs it logs it line by line. */
const linesOf = (pem: Secret): readonly Secret[] =>
  Buffer.from(pem.reveal())
    .toString("latin1")
    .split(/\r?\n/)
    .filter((line) => /^[A-Za-z0-9+/=]{16,}$/.test(line))
    .map((line) => secret(Buffer.from(line, "latin1")));
