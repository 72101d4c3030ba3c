import type { Connection } from "../gateway/gateway.ts";
import { renderIdentity } from "./strongswan-identity.ts";

/**
 * Whose key it is. IKEv1 main mode must find it before any identity is known, by the addresses (RFC 2409 §5.4);
 * an address that is not known beforehand is any.
 */
export const secretOwners = (connection: Connection): readonly string[] => {
  const identities = [renderIdentity(connection.local.identity), renderIdentity(connection.remote.identity)];
  if (connection.version === "ikev2") return identities;
  const addresses = [connection.local.endpoint, connection.remote.endpoint].map((endpoint) =>
    endpoint.kind === "address" ? endpoint.address.text : "%any",
  );
  return [...new Set([...identities, ...addresses])];
};
