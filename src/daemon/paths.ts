/** Where strongSwan keeps what lives as long as its processes; `ipsec --piddir` says the same on Debian and Alpine. */
export const runPaths = {
  charonPid: "/var/run/charon.pid",
  starterPid: "/var/run/starter.charon.pid",
  vici: "/var/run/charon.vici",
  stroke: "/var/run/charon.ctl",
  // Of plugins in libcharon-extra-plugins, whose sockets charon does not remove (the *_SOCKET in src/libcharon/plugins/*/*_msg.h).
  duplicheck: "/var/run/charon.dck",
  errorNotify: "/var/run/charon.enfy",
  lookip: "/var/run/charon.lkp",
  whitelist: "/var/run/charon.wlst",
} as const;
