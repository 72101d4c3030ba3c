import assert from "node:assert/strict";
import { test } from "node:test";
import { parseSettings } from "../../../src/settings/parse-settings.ts";
import type { Values } from "../../../src/settings/settings.ts";
import { checkSharedInterfaces } from "../../../src/settings/shared-interface-checks.ts";
import { environmentOf, minimal } from "../../support/environment-of.ts";

const tunnel = (name: string, changes: Readonly<Record<string, string>>): Values => {
  const { settings, errors } = parseSettings(
    environmentOf({
      ...minimal,
      IPSEC_BACKEND: "swanctl",
      IPSEC_XFRM_IF_ID: "42",
      IPSEC_NAME: name,
      ...changes,
    }),
    "gateway",
  );
  return settings?.tunnels[0] ?? assert.fail(JSON.stringify(errors));
};

const messages = (...tunnels: readonly Values[]): readonly string[] =>
  checkSharedInterfaces(tunnels).map(({ message, hint }) => {
    assert.ok(hint);
    return message;
  });

test("tunnels on one interface may each have routes, and the same addresses or none", () => {
  assert.deepEqual(
    messages(
      tunnel("sun", {
        IPSEC_XFRM_STATICROUTES: "10.2.0.0/16",
        IPSEC_XFRM_IPADDR_LOCAL: "169.254.10.1,fd00::1",
        IPSEC_XFRM_IPADDR_PEER: "169.254.10.2",
      }),
      tunnel("venus", { IPSEC_XFRM_STATICROUTES: "10.3.0.0/16" }),
      tunnel("mars", { IPSEC_XFRM_IPADDR_LOCAL: "169.254.10.1", IPSEC_XFRM_IPADDR_PEER: "169.254.10.3" }),
    ),
    [],
  );
});

test("those on other interfaces, or on none, or with a VTI of that number, are no concern of each other", () => {
  const address = (text: string) => ({ IPSEC_XFRM_IPADDR_LOCAL: text });
  assert.deepEqual(
    messages(
      tunnel("sun", address("169.254.10.1")),
      tunnel("venus", { ...address("169.254.10.5"), IPSEC_XFRM_IF_ID: "43" }),
      tunnel("mars", { IPSEC_XFRM_IF_ID: "", IPSEC_VTI_KEY: "42", IPSEC_MTU: "1300" }),
      tunnel("pluto", { IPSEC_XFRM_IF_ID: "", IPSEC_MTU: "1200" }),
    ),
    [],
  );
});

test("a route for everything takes the packets to the peer of another tunnel, unless its address is known", () => {
  const everything = tunnel("sun", { IPSEC_XFRM_STATICROUTES: "0.0.0.0/0" });
  const somewhere = { IPSEC_XFRM_IF_ID: "", IPSEC_REMOTEID: "venus" };
  for (const IPSEC_REMOTEIP of ["%any", "venus.example.com"])
    assert.deepEqual(messages(everything, tunnel("venus", { ...somewhere, IPSEC_REMOTEIP })), [
      `IPSEC_XFRM_STATICROUTES=0.0.0.0/0 of sun would lead the packets to the peer of venus into that tunnel: IPSEC_REMOTEIP=${IPSEC_REMOTEIP} does not tell where they go`,
    ]);
  assert.deepEqual(messages(everything, tunnel("venus", { IPSEC_REMOTEIP: "192.0.2.3" })), []);
  const ipv6 = { IPSEC_LOCALIP: "2001:db8::1", IPSEC_REMOTEIP: "%any" };
  assert.deepEqual(messages(everything, tunnel("venus", { ...somewhere, ...ipv6 })), []);
});

test("another MTU, another address of a family, or another end of an IPv6 address, is told with both tunnels", () => {
  for (const [first, second, message] of [
    [{ IPSEC_MTU: "1400" }, {}, "IPSEC_MTU is 1400 for sun and auto for mars"],
    [{}, { IPSEC_MSS: "off" }, "IPSEC_MSS is auto for sun and off for mars"],
    [
      { IPSEC_XFRM_IPADDR_LOCAL: "169.254.10.1" },
      { IPSEC_XFRM_IPADDR_LOCAL: "169.254.10.1/30" },
      "IPSEC_XFRM_IPADDR_LOCAL is 169.254.10.1 for sun and 169.254.10.1/30 for mars",
    ],
    [
      { IPSEC_XFRM_IPADDR_LOCAL: "169.254.10.1,fd00::1" },
      { IPSEC_XFRM_IPADDR_LOCAL: "fd00::2" },
      "IPSEC_XFRM_IPADDR_LOCAL is fd00::1 for sun and fd00::2 for mars",
    ],
    [
      { IPSEC_XFRM_IPADDR_LOCAL: "fd00::1", IPSEC_XFRM_IPADDR_PEER: "fd00::2" },
      { IPSEC_XFRM_IPADDR_LOCAL: "fd00::1" },
      "IPSEC_XFRM_IPADDR_PEER is fd00::2 for sun and nothing for mars",
    ],
  ] as const) {
    const without = { IPSEC_MTU: "IPSEC_MTU" in first ? "1400" : "auto" };
    assert.deepEqual(messages(tunnel("sun", first), tunnel("venus", without), tunnel("mars", second)), [
      `${message}, which share IPSEC_XFRM_IF_ID=42`,
    ]);
  }
});
