import type * as z from "zod/mini";
import type { Authentication } from "../ipsec/authentication.ts";
import type { Identity } from "../ipsec/identity.ts";
import type { Network } from "../ipsec/network.ts";
import type { Checked } from "./checked.ts";
import type { VariableName, variables } from "./variables.ts";

type ValueOf<Name extends VariableName> =
  z.output<(typeof variables)[Name]["schema"]> extends Checked<infer Value> ? Value : never;

type WithDefault = {
  [Name in VariableName]: (typeof variables)[Name] extends { readonly default: string } ? Name : never;
}[VariableName];

/** Checked values by variable; those without a default may be absent. */
export type Values = { readonly [Name in WithDefault]: ValueOf<Name> } & {
  readonly [Name in Exclude<VariableName, WithDefault>]?: ValueOf<Name>;
};

type GatewayName = {
  [Name in VariableName]: (typeof variables)[Name] extends { readonly scope: "gateway" } ? Name : never;
}[VariableName];

/** What concerns the whole gateway. */
export type GatewayValues = Pick<Values, GatewayName>;

/** The values of one connection, with everything that a connection must have. */
export type ConnectionSettings = Values & {
  readonly IPSEC_LOCALNET: readonly Network[];
  readonly IPSEC_REMOTENET: readonly Network[];
  readonly IPSEC_LOCALID: Identity;
  readonly IPSEC_REMOTEID: Identity;
  readonly authentication: Authentication;
};

export type Settings = {
  readonly gateway: GatewayValues;
  /** What virtual interfaces and host routes are made of, in manual configuration too. */
  readonly tunnels: readonly Values[];
  /** What is rendered; empty in manual configuration and for `init`. */
  readonly connections: readonly ConnectionSettings[];
};

/** `init` needs the ends and the virtual interface, not the key; `gateway` is everything else. */
export type Purpose = "gateway" | "init";
