import type { Control } from "./control.ts";

export type ReloadRequests = { readonly next: () => Promise<{ readonly kind: "reload" }> };

/** Requests that come while one is served, or while charon starts anew, are served together by the next. */
export const reloadRequests = (control: Control): ReloadRequests => {
  let pending = false;
  let wake: (() => void) | undefined;
  control.onReload(() => {
    pending = true;
    wake?.();
  });
  return {
    next: () =>
      new Promise((resolve) => {
        const serve = (): void => {
          if (!pending) return;
          pending = false;
          resolve({ kind: "reload" });
        };
        wake = serve;
        serve();
      }),
  };
};
