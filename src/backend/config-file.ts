/** A file to be written, as data. */
export type ConfigFile = {
  readonly path: string;
  readonly mode: number;
  readonly text: string;
  /** Name of the connection that it is of; absent for what is the daemon's. */
  readonly connection?: string;
  /** Whether the daemon, which may run as a user of its own, must be able to read it again later. */
  readonly ownedByDaemon: boolean;
};

/** First line of every file that we write; a file without it is somebody else's. */
export const marker = "# Written by vnf-ipsec from its environment; changes are lost at the next start.";
