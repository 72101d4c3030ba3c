/** Where strongSwan keeps what lives as long as its processes; `ipsec --piddir` says the same on Debian and Alpine. */
export const runPaths = {
  charonPid: "/var/run/charon.pid",
  starterPid: "/var/run/starter.charon.pid",
  vici: "/var/run/charon.vici",
  stroke: "/var/run/charon.ctl",
} as const;
