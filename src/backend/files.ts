import type { Gateway } from "../gateway/gateway.ts";
import type { Backend, RenderOptions } from "./backend.ts";
import { renderCharonConf } from "./charon-conf.ts";
import type { ConfigFile } from "./config-file.ts";

/** Every file that the daemon needs, less what the operator mounts. */
export const renderFiles = (
  backend: Backend,
  gateway: Gateway,
  options: RenderOptions & { readonly manualCharon: boolean },
): readonly ConfigFile[] => [
  ...gateway.connections.flatMap((connection) => backend.connectionFiles(connection, options)),
  ...(options.manualCharon ? [] : [renderCharonConf(backend, gateway, options)]),
];
