import assert from "node:assert/strict";
import { test } from "node:test";
import { rendered } from "../support/backend-under-test.ts";
import { createLab, type Lab } from "../support/lab.ts";
import { isReady, stop, tunnelEnvironment } from "../support/our-gateway.ts";
import type { Environment, SiteProcess } from "../support/site-process.ts";

const startGateway = (lab: Lab, changes: Environment = {}): SiteProcess =>
  lab.moon.gateway(
    tunnelEnvironment(lab.moon, lab.sun, { IPSEC_START: "add", SET_ROUTE_DEFAULT_TABLE: "yes", ...changes }),
  );

/** Routes of the main table that are neither the default one nor the kernel's own. */
const routes = async (lab: Lab): Promise<readonly string[]> => {
  const text = await lab.moon.run(["bash", "-c", "ip -4 route show table main; ip -6 route show table main"]);
  return text
    .split("\n")
    .map((line) => line.trim().replace(/ metric 1024 pref medium$/, ""))
    .filter((line) => /^(?:10\.|198\.51\.100\.|2001:db8:2::)/.test(line));
};

test("each remote network gets a route through the default gateway with our address as source, until the stop", async () => {
  await using lab = await createLab({ router: true, sun: { networks: ["10.2.0.0/24", "198.51.100.7/32"] } });
  const before = await lab.moon.snapshot();
  const gateway = startGateway(lab);
  await isReady(gateway);
  assert.deepEqual(await routes(lab), [
    "10.2.0.0/24 via 192.0.2.254 dev eth0 src 192.0.2.1",
    "198.51.100.7 via 192.0.2.254 dev eth0 src 192.0.2.1",
  ]);
  const commands = gateway
    .records()
    .filter(({ event, command }) => event === "host-changed" && /^ip route/.test(`${command}`));
  assert.deepEqual(
    commands.map(({ command }) => command),
    [
      "ip route add 10.2.0.0/24 via 192.0.2.254 dev eth0 src 192.0.2.1",
      "ip route add 198.51.100.7/32 via 192.0.2.254 dev eth0 src 192.0.2.1",
    ],
  );
  assert.equal(await stop(gateway), 0);
  assert.deepEqual(await lab.moon.snapshot(), before);
});

test("a network of IPv6 follows the default route of IPv6", async () => {
  await using lab = await createLab({ router: true, ipv6: true });
  const before = await lab.moon.snapshot();
  const gateway = startGateway(lab);
  await isReady(gateway);
  assert.deepEqual(await routes(lab), [
    "10.2.0.0/24 via 192.0.2.254 dev eth0 src 192.0.2.1",
    "2001:db8:2::/64 via 2001:db8::fffe dev eth0",
  ]);
  assert.equal(await stop(gateway), 0);
  assert.deepEqual(await lab.moon.snapshot(), before);
});

test("a route that was there already is left there at the stop", async () => {
  await using lab = await createLab({ router: true });
  const present = "10.2.0.0/24 via 192.0.2.254 dev eth0 src 192.0.2.1";
  await lab.moon.run(["ip", "route", "add", ...present.split(" ")]);
  const gateway = startGateway(lab);
  await isReady(gateway);
  assert.deepEqual(await routes(lab), [present]);
  assert.equal(await stop(gateway), 0);
  assert.deepEqual(await routes(lab), [present]);
});

test("after a crash the next start keeps one route, and its stop removes it", async () => {
  await using lab = await createLab({ router: true });
  const before = await lab.moon.snapshot();
  const first = startGateway(lab);
  await isReady(first);
  await first.kill();
  assert.equal((await routes(lab)).length, 1);
  const second = startGateway(lab);
  await isReady(second);
  assert.equal((await routes(lab)).length, 1);
  assert.equal(await stop(second), 0);
  assert.deepEqual(await lab.moon.snapshot(), before);
});

test("after a crash a start without the variable removes the route of the former", async () => {
  await using lab = await createLab({ router: true });
  const first = startGateway(lab);
  await isReady(first);
  await first.kill();
  const second = startGateway(lab, { SET_ROUTE_DEFAULT_TABLE: "no" });
  await isReady(second);
  assert.deepEqual(await routes(lab), []);
  assert.equal(await stop(second), 0);
});

test("without a default route the start ends with 69, says why and changes nothing", async () => {
  await using lab = await createLab({ router: true });
  await lab.moon.run(["ip", "route", "del", "default"]);
  const before = await lab.moon.snapshot();
  const gateway = startGateway(lab);
  assert.deepEqual(await gateway.exited, { exitCode: 69, signal: null });
  assert.match(
    gateway.stderr(),
    /^vnf-ipsec: error: SET_ROUTE_DEFAULT_TABLE: there is no default IPv4 route for 10\.2\.0\.0\/24 to follow$/m,
  );
  assert.match(gateway.stderr(), /^vnf-ipsec: hint: /m);
  assert.deepEqual(await lab.moon.snapshot(), before);
  assert.equal((await lab.moon.exec(["ls", rendered.key])).exitCode, 2);
});

test("a reload moves the routes with the networks, and one that finds no default route changes nothing", async () => {
  await using lab = await createLab({ router: true });
  const before = await lab.moon.snapshot();
  const write = (networks: string, wanted = "yes") =>
    lab.moon.writeFile("/etc/site.env", `IPSEC_REMOTENET=${networks}\nSET_ROUTE_DEFAULT_TABLE=${wanted}\n`);
  await write("10.2.0.0/24,10.3.0.0/24");
  const gateway = startGateway(lab, { ENVFILE: "/etc/site.env" });
  await isReady(gateway);
  const reload = async (event: string): Promise<void> => {
    const from = gateway.records().length;
    gateway.signal("SIGHUP");
    await gateway.waitForRecord((record) => record.event === event, { from });
  };
  const via = "via 192.0.2.254 dev eth0 src 192.0.2.1";

  await write("10.3.0.0/24,10.4.0.0/24");
  await reload("reloaded");
  assert.deepEqual(await routes(lab), [`10.3.0.0/24 ${via}`, `10.4.0.0/24 ${via}`]);

  const defaultRoute = ["default", "via", "192.0.2.254"];
  await lab.moon.run(["ip", "route", "del", ...defaultRoute]);
  const file = await lab.moon.readFile(rendered.connection);
  await write("10.5.0.0/24");
  await reload("reload-refused");
  assert.deepEqual(await routes(lab), [`10.3.0.0/24 ${via}`, `10.4.0.0/24 ${via}`]);
  assert.equal(await lab.moon.readFile(rendered.connection), file);

  await lab.moon.run(["ip", "route", "add", ...defaultRoute]);
  await write("10.4.0.0/24", "no");
  await reload("reloaded");
  assert.deepEqual(await routes(lab), []);
  assert.equal(await stop(gateway), 0);
  const { routes: left } = await lab.moon.snapshot();
  assert.deepEqual(left, before.routes);
});
