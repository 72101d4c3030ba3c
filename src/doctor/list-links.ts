import type { RunProgram } from "../host/run-program.ts";
import { type Address, parseAddress } from "../ipsec/address.ts";

/** An interface of this host with its addresses; see ip-address(8). */
export type Link = {
  readonly name: string;
  readonly mtu: number;
  readonly isUp: boolean;
  readonly addresses: readonly Address[];
};

/** None when `ip` cannot tell. */
export const listLinks = async (runProgram: RunProgram): Promise<readonly Link[]> => {
  const { exitCode, stdout } = await runProgram(["ip", "-json", "address", "show"]);
  if (exitCode !== 0 || stdout === "") return [];
  return (JSON.parse(stdout) as readonly IpLink[]).map(({ ifname, mtu, flags, addr_info }) => ({
    name: ifname,
    mtu,
    isUp: flags.includes("UP"),
    addresses: addr_info.flatMap(({ local }) => {
      const address = parseAddress(local ?? "");
      return address.ok ? [address.value] : [];
    }),
  }));
};

type IpLink = {
  readonly ifname: string;
  readonly mtu: number;
  readonly flags: readonly string[];
  readonly addr_info: readonly { readonly local?: string }[];
};
