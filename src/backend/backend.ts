import type { Dataplane } from "../gateway/dataplane.ts";
import type { Connection } from "../gateway/gateway.ts";
import { masked, type Secret } from "../secret.ts";
import type { ConfigFile } from "./config-file.ts";
import type { Templates } from "./templates.ts";

/** A way to tell the IKE daemon of connections: which files, how it is started, what it is asked. All of it is data. */
export type Backend = {
  readonly name: "stroke" | "swanctl";
  /** Directories that hold our files beside those of others; what we no longer want there is removed. */
  readonly directories: readonly string[];
  readonly connectionFiles: (connection: Connection, options: ConnectionOptions) => readonly ConfigFile[];
  /** What becomes the daemon. */
  readonly daemon: {
    readonly command: readonly [string, ...string[]];
    /** What must be on the search path for it, and how to get it. */
    readonly program: string;
    readonly hint: string;
    /** Prints which strongSwan it is. */
    readonly version: readonly [string, ...string[]];
    /** Whether the command only starts charon, then loads the files into it, and again at SIGHUP. */
    readonly loadsFiles: boolean;
  };
  /** Of strongswan.conf(5): the plugin that the backend needs, or can do without. */
  readonly usesStroke: boolean;
  /** What charon refuses where it would refuse a connection or its key, and what changes nothing; nothing if there is no such thing. */
  readonly probe: (connections: readonly Connection[]) => readonly DaemonRequest[];
  /** What has charon know connections and their keys, or some of them where it fails; nothing where the command loads files. */
  readonly load: (connections: readonly Connection[]) => readonly DaemonRequest[];
  /** What has charon forget a connection. Its SAs stay, and are ended by others. */
  readonly unload: (connection: Connection) => readonly DaemonRequest[];
  /** What a reload begins with, before anything is unloaded. */
  readonly beforeReload: readonly DaemonRequest[];
  /** What has charon know the connections that the operator mounted. */
  readonly loadMounted: readonly DaemonRequest[];
};

/** A vici command, which must succeed; or a program of strongSwan. */
export type DaemonRequest =
  | { readonly kind: "vici"; readonly command: string; readonly message: ViciValues }
  | {
      readonly kind: "program";
      readonly argv: readonly [string, ...string[]];
      /** It may fail, as one does that is to remove what is not there. */
      readonly mayFail: boolean;
    };

type ViciValue = string | Uint8Array;

type ViciValues = { readonly [name: string]: ViciValue | readonly ViciValue[] | ViciValues };

/** What the files of a connection are made with; they are the same on every data plane. */
export type ConnectionOptions = {
  readonly templates: Templates;
  /** Secrets are masked unless the files are really written. */
  readonly showSecrets?: boolean;
};

export type RenderOptions = ConnectionOptions & { readonly dataplane: Dataplane };

/**
 * The one spelling of a key that ipsec.secrets and swanctl.conf take for any bytes: quoted ones end at the next
 * quote, bare ones at a space, and neither can hold a newline.
 */
export const renderPsk = (psk: Secret, { showSecrets }: Pick<ConnectionOptions, "showSecrets">): string =>
  showSecrets ? `0s${Buffer.from(psk.reveal()).toString("base64")}` : masked;
