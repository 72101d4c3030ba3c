/** Of capabilities(7), these and no others. */
export const onlyCapabilities = (...names: readonly string[]): readonly string[] => [
  "--cap-drop=ALL",
  ...names.map((name) => `--cap-add=${name}`),
];

/** Where a gateway writes. */
const writtenPlaces = [
  ...["/run", "/etc/ipsec.config.d", "/etc/ipsec.secrets.d", "/etc/strongswan.d"],
  "/etc/swanctl/conf.d",
];

/**
 * A read-only root file system, with a small tmpfs at each place where a gateway writes, except what the test mounts.
 * Each is empty at the start: podman would fill it with what the image has there, Docker and Kubernetes do not.
 */
export const readOnly = (...mounted: readonly string[]): readonly string[] => [
  "--read-only",
  "--read-only-tmpfs=false",
  ...writtenPlaces
    .filter((place) => !mounted.includes(place))
    .flatMap((place) => ["--tmpfs", `${place}:size=1m,mode=755,notmpcopyup`]),
];

/** What a tunnel takes once the modules are loaded. */
export const leastPrivilege = (...mounted: readonly string[]): readonly string[] => [
  ...onlyCapabilities("NET_ADMIN", "NET_BIND_SERVICE"),
  ...readOnly(...mounted),
];
