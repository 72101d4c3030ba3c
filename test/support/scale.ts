import process from "node:process";

/**
 * How often a promise is tried: the figure of docs/promises.md with `VNF_IPSEC_TEST_FULL=1`, a smaller one otherwise,
 * so that every run of `scripts/test` shows it and a full run proves it.
 */
export const attempts = ({ usual, full }: { readonly usual: number; readonly full: number }): number =>
  process.env["VNF_IPSEC_TEST_FULL"] === "1" ? full : usual;
