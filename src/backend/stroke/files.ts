import type { Gateway } from "../../gateway/gateway.ts";
import { renderCharonConf } from "../charon-conf.ts";
import type { ConfigFile } from "../config-file.ts";
import { type RenderOptions, renderConnections } from "./render.ts";

/** Directories that hold our files beside those of others; what we no longer want there is removed. */
export const managedDirectories = ["/etc/ipsec.config.d", "/etc/ipsec.secrets.d"] as const;

/** Every file that this backend reads, less what the operator mounts. */
export const renderFiles = (
  gateway: Gateway,
  options: RenderOptions & { readonly manualCharon: boolean },
): readonly ConfigFile[] => [
  ...renderConnections(gateway, options),
  ...(options.manualCharon ? [] : [renderCharonConf(gateway, options.dataplane, options.templates)]),
];
