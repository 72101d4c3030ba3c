import { createPrivateKey, createPublicKey, type KeyObject } from "node:crypto";
import { invalid, type Result, valid } from "../failure.ts";
import { type Secret, secret } from "../secret.ts";

/** A private key that can be used: PEM without a passphrase, in the one form that takes every kind of key (PKCS#8). */
export type PrivateKey = { readonly pem: Secret; readonly publicKey: KeyObject };

/** Opens a key in PEM: PKCS#1, SEC1 or PKCS#8, encrypted or not. No message shows any of it. */
export const openPrivateKey = (given: Secret, passphrase: Secret | undefined): Result<PrivateKey> => {
  const known = opened.get(given);
  if (known !== undefined && known.passphrase === passphrase) return known.result;
  const result = open(given, passphrase);
  opened.set(given, { passphrase, result });
  return result;
};

/** A passphrase is made slow to try, and a thousand connections may have one key. */
const opened = new WeakMap<
  Secret,
  { readonly passphrase: Secret | undefined; readonly result: Result<PrivateKey> }
>();

const open = (given: Secret, passphrase: Secret | undefined): Result<PrivateKey> => {
  const pem = Buffer.from(given.reveal());
  if (isEncrypted(pem.toString("latin1")) && passphrase === undefined)
    return invalid(
      "is encrypted, and there is no passphrase for it",
      "name a file with the passphrase in IPSEC_PRIVATE_KEY_PASSPHRASE_FILE",
    );
  try {
    const key = createPrivateKey({
      key: pem,
      format: "pem",
      ...(passphrase === undefined ? {} : { passphrase: Buffer.from(passphrase.reveal()) }),
    });
    if (!signs.has(key.asymmetricKeyType ?? ""))
      return invalid(`is of the kind ${key.asymmetricKeyType}, which cannot authenticate IKE`, kinds);
    return valid({
      pem: secret(Buffer.from(key.export({ format: "pem", type: "pkcs8" }))),
      publicKey: createPublicKey(key),
    });
  } catch {
    // What OpenSSL says may quote from the key, and tells people little.
    return isEncrypted(pem.toString("latin1"))
      ? invalid(
          "cannot be opened: the passphrase is not that of this key, or its encryption is not known",
          "try it: openssl pkey -in FILE -noout",
        )
      : invalid("cannot be read as a private key", "see what openssl pkey -in FILE -noout says of it");
  }
};

const signs: ReadonlySet<string> = new Set(["rsa", "ec", "ed25519", "ed448"]);

const kinds = "RSA, ECDSA or Ed25519, for example: openssl genpkey -algorithm ed25519";

const isEncrypted = (pem: string): boolean =>
  /-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m.test(pem);
