import { join } from "node:path";

/** Files that a scenario writes in the guest and that must not appear on the host. */
export const marks: readonly string[] = [
  "/etc/vnf-ipsec-guest-mark",
  "/usr/local/vnf-ipsec-guest-mark",
  "/var/lib/vnf-ipsec-guest-mark",
  "/run/vnf-ipsec-guest-mark",
  "/tmp/vnf-ipsec-guest-mark",
  join(import.meta.dirname, "vnf-ipsec-guest-mark"),
];
