import assert from "node:assert/strict";
import { test } from "node:test";
import { checkHost, readSysctl } from "../../../src/host/host-checks.ts";
import type { AddressFamily } from "../../../src/ipsec/address.ts";

const problems = (
  values: Readonly<Record<string, string>>,
  families: readonly AddressFamily[] = ["ipv4", "ipv6"],
) => checkHost((name) => values[name], new Set(families));

const good = {
  "net/ipv4/ip_forward": "1",
  "net/ipv4/conf/all/rp_filter": "2",
  "net/ipv4/conf/all/send_redirects": "0",
  "net/ipv6/conf/all/disable_ipv6": "0",
  "net/ipv6/conf/all/forwarding": "1",
};

test("a host with good settings has no problem, and neither has one that cannot be asked", () => {
  assert.deepEqual(problems(good), []);
  assert.deepEqual(problems({ ...good, "net/ipv4/conf/all/rp_filter": "0" }), []);
  assert.deepEqual(problems({}), []);
});

test("each setting that loses packets is told by its name, with the command that mends it", () => {
  for (const [name, bad, remedy] of [
    ["net/ipv4/ip_forward", "0", "net.ipv4.ip_forward=1"],
    ["net/ipv4/conf/all/rp_filter", "1", "net.ipv4.conf.all.rp_filter=2"],
    ["net/ipv4/conf/all/send_redirects", "1", "net.ipv4.conf.all.send_redirects=0"],
    ["net/ipv6/conf/all/disable_ipv6", "1", "net.ipv6.conf.all.disable_ipv6=0"],
    ["net/ipv6/conf/all/forwarding", "0", "net.ipv6.conf.all.forwarding=1"],
  ] as const) {
    const [problem, ...others] = problems({ ...good, [name]: bad });
    assert.deepEqual(others, []);
    assert.ok(problem?.message.startsWith(`${name.replaceAll("/", ".")}=${bad}: `), problem?.message);
    assert.ok(problem?.hint?.startsWith(`sysctl -w ${remedy} `), problem?.hint);
    assert.ok(problem?.hint?.includes(`--sysctl ${remedy} `), problem?.hint);
  }
});

test("all of them are told at once, of the families that are protected; IPv4 where these are not known", () => {
  const all = {
    "net/ipv4/ip_forward": "0",
    "net/ipv4/conf/all/rp_filter": "1",
    "net/ipv4/conf/all/send_redirects": "1",
    "net/ipv6/conf/all/disable_ipv6": "1",
    "net/ipv6/conf/all/forwarding": "0",
  };
  assert.equal(problems(all).length, 5);
  const told = (families: readonly AddressFamily[]) =>
    problems(all, families).map(({ message }) => message.split(".").slice(0, 2).join("."));
  assert.deepEqual(new Set(told(["ipv4"])), new Set(["net.ipv4"]));
  assert.deepEqual(new Set(told(["ipv6"])), new Set(["net.ipv6"]));
  assert.deepEqual(told([]), told(["ipv4"]));
});

test("a setting is read without its newline, and one that the kernel does not have is undefined", () => {
  assert.match(readSysctl("kernel/ostype") ?? "", /^Linux$/);
  assert.equal(readSysctl("net/ipv4/conf/no-such-interface/rp_filter"), undefined);
});
