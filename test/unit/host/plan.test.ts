import assert from "node:assert/strict";
import { test } from "node:test";
import { exitCodes, Failure } from "../../../src/failure.ts";
import { buildGateway } from "../../../src/gateway/from-settings.ts";
import type { HostRoute } from "../../../src/gateway/gateway.ts";
import { inspectHost, type Route } from "../../../src/host/inspect.ts";
import { hostRouteCommand, hostRouteUndo, planHostRoutes } from "../../../src/host/plan.ts";
import { pasteable } from "../../../src/host/step.ts";
import { parseSettings } from "../../../src/settings/parse-settings.ts";
import { environmentOf, minimal } from "../../support/environment-of.ts";

const routesOf = (changes: Readonly<Record<string, string>>): readonly HostRoute[] => {
  const { settings } = parseSettings(
    environmentOf({ ...minimal, SET_ROUTE_DEFAULT_TABLE: "yes", ...changes }),
    "gateway",
  );
  return buildGateway(settings ?? assert.fail()).hostRoutes;
};

const viaGateway: Route = { family: "ipv4", destination: "default", gateway: "192.0.2.254", device: "ens5" };
const viaGateway6: Route = { family: "ipv6", destination: "default", gateway: "fe80::1", device: "ens5" };

const commands = (routes: readonly HostRoute[], mainRoutes: readonly Route[]) =>
  planHostRoutes(routes, { mainRoutes }).map(({ argv, undo }) => [
    pasteable(argv),
    pasteable(undo ?? ["none"]),
  ]);

test("each remote network is routed through the default gateway with our address as source, and back", () => {
  assert.deepEqual(commands(routesOf({ IPSEC_REMOTENET: "10.2.0.0/16,172.16.0.0/12" }), [viaGateway]), [
    [
      "ip route add 10.2.0.0/16 via 192.0.2.254 dev ens5 src 192.0.2.1",
      "ip route del 10.2.0.0/16 via 192.0.2.254 dev ens5 src 192.0.2.1",
    ],
    [
      "ip route add 172.16.0.0/12 via 192.0.2.254 dev ens5 src 192.0.2.1",
      "ip route del 172.16.0.0/12 via 192.0.2.254 dev ens5 src 192.0.2.1",
    ],
  ]);
});

test("a network that is listed twice is routed once", () => {
  assert.equal(commands(routesOf({ IPSEC_REMOTENET: "10.2.0.0/16,10.2.3.4/16" }), [viaGateway]).length, 1);
});

test("%any, and an address of the other family, leave the source to the kernel", () => {
  const [any] = commands(routesOf({ IPSEC_LOCALIP: "%any", IPSEC_LOCALID: "moon" }), [viaGateway]);
  assert.equal(any?.[0], "ip route add 10.2.0.0/16 via 192.0.2.254 dev ens5");
  const six = routesOf({ IPSEC_LOCALNET: "2001:db8:1::/48", IPSEC_REMOTENET: "2001:db8:2::/48" });
  assert.equal(
    commands(six, [viaGateway, viaGateway6])[0]?.[0],
    "ip route add 2001:db8:2::/48 via fe80::1 dev ens5",
  );
});

test("a default route without a gateway leads out of its interface", () => {
  const [only] = commands(routesOf({}), [{ family: "ipv4", destination: "default", device: "ppp0" }]);
  assert.equal(only?.[0], "ip route add 10.2.0.0/16 dev ppp0 src 192.0.2.1");
});

test("a route that is there already is neither added nor taken back", () => {
  const there: Route = { ...viaGateway, destination: "10.2.0.0/16", source: "192.0.2.1" };
  assert.deepEqual(commands(routesOf({}), [viaGateway, there]), []);
  assert.equal(commands(routesOf({}), [viaGateway, { ...there, source: "192.0.2.9" }]).length, 1);
  const host: Route = { ...there, destination: "10.2.0.9" };
  assert.deepEqual(commands(routesOf({ IPSEC_REMOTENET: "10.2.0.9" }), [viaGateway, host]), []);
});

test("without a default route of the family it fails, by the variable's name, in 69", () => {
  assert.throws(
    () => commands(routesOf({}), [viaGateway6]),
    (error: unknown) =>
      error instanceof Failure &&
      error.exitCode === exitCodes.unavailable &&
      error.problems[0]?.variable === "SET_ROUTE_DEFAULT_TABLE",
  );
});

test("a route's undo is known by its network, other commands are not", () => {
  assert.equal(hostRouteUndo(["ip", "route", "del", "10.2.0.0/16", "dev", "x"]), "10.2.0.0/16");
  assert.equal(hostRouteUndo(["ip", "link", "del", "vti42"]), undefined);
});

test("before the host is seen, its gateway has a placeholder", () => {
  const [route] = routesOf({});
  assert.ok(route);
  assert.equal(
    pasteable(hostRouteCommand(route)),
    "ip route add 10.2.0.0/16 via DEFAULT_GATEWAY dev ITS_INTERFACE src 192.0.2.1",
  );
});

test("routes are read from iproute2's JSON, of several ways the first, and a kernel without IPv6 has none of that family", async () => {
  const state = await inspectHost(async ([, family]) =>
    family === "-4"
      ? {
          exitCode: 0,
          stdout:
            '[{"dst":"default","gateway":"192.0.2.254","dev":"eth0"},{"dst":"10.0.0.0/8","dev":"eth0","prefsrc":"10.0.0.1","protocol":"dhcp","metric":100,"flags":["onlink"]},{"dst":"10.9.0.0/16","nexthops":[{"gateway":"192.0.2.1","dev":"eth0"},{"gateway":"192.0.2.2","dev":"eth1"}]}]',
          stderr: "",
        }
      : { exitCode: 1, stdout: "", stderr: "RTNETLINK answers: Operation not supported" },
  );
  assert.deepEqual(state.mainRoutes, [
    { family: "ipv4", destination: "default", gateway: "192.0.2.254", device: "eth0" },
    {
      family: "ipv4",
      destination: "10.0.0.0/8",
      device: "eth0",
      source: "10.0.0.1",
      metric: 100,
      protocol: "dhcp",
      isOnLink: true,
    },
    { family: "ipv4", destination: "10.9.0.0/16", gateway: "192.0.2.1", device: "eth0" },
  ]);
});

test("a command is shown so that a shell takes it as it is", () => {
  assert.equal(pasteable(["ip", "route", "add", "10.0.0.0/8"]), "ip route add 10.0.0.0/8");
  assert.equal(pasteable(["echo", "it's a $x", ""]), "echo 'it'\\''s a $x' ''");
});
