import { readFileSync } from "node:fs";
import type { ConfigFile } from "../backend/config-file.ts";
import { type CheckResult, result } from "./check-result.ts";

/** Whether what a running gateway wrote is what these variables say; a difference came after its start. */
export const checkFiles = (rendered: readonly ConfigFile[], root = ""): readonly CheckResult[] => {
  const different = rendered.filter(({ path, text }) => contentOf(`${root}${path}`) !== text);
  if (different.length === 0)
    return [
      result("files", "ok", "the gateway has written what these variables say, keys and identities included"),
    ];
  return [
    result(
      "files",
      "warning",
      `these variables say something else than the gateway has written: ${different.map(({ path }) => path).join(", ")}`,
      {
        hint: "give doctor the gateway's environment, or have the gateway read it again: kill -HUP, or a restart",
      },
    ),
  ];
};

const contentOf = (path: string): string | undefined => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
};
