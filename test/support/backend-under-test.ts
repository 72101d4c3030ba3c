import process from "node:process";
import type { Environment } from "./site-process.ts";

const backend = process.env["VNF_IPSEC_TEST_BACKEND"] || "stroke";

/** With `VNF_IPSEC_TEST_BACKEND=swanctl` whatever names no backend runs with that one. */
export const backendUnderTest: Environment = backend === "stroke" ? {} : { IPSEC_BACKEND: backend };

/** How many processes of starter a gateway has. */
export const starters = backend === "stroke" ? 1 : 0;

/** Where the connection `site` is rendered, and where its key is. */
export const rendered =
  backend === "stroke"
    ? {
        connection: "/etc/ipsec.config.d/ipsec.site.conf",
        key: "/etc/ipsec.secrets.d/ipsec.site.secrets",
      }
    : { connection: "/etc/swanctl/conf.d/site.conf", key: "/etc/swanctl/conf.d/site.conf" };
