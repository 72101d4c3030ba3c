import type { Identity } from "../ipsec/identity.ts";

/** The text from which strongSwan reads this very identity (libstrongswan/utils/identification.c). */
export const renderIdentity = (identity: Identity): string => {
  switch (identity.kind) {
    case "ipv4":
    case "ipv6":
      return identity.text;
    case "dn":
      return identity.encoded === undefined ? identity.text : `asn1dn:#${identity.encoded}`;
    case "fqdn":
      return `@${identity.text}`;
    case "email":
      return `email:${identity.text}`;
    case "keyid":
      return identity.encoding === "hex" ? `@#${identity.text}` : `keyid:${identity.text}`;
    case "any":
      return "%any";
    default:
      return identity satisfies never;
  }
};
