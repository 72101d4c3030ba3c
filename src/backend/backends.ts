import type { Backend } from "./backend.ts";
import { stroke } from "./stroke/backend.ts";
import { swanctl } from "./swanctl/backend.ts";

export const backends = { stroke, swanctl } as const satisfies Record<Backend["name"], Backend>;

/** Of all of them, so that a change of the backend leaves no files behind. */
export const managedDirectories = Object.values(backends).flatMap(({ directories }) => directories);
