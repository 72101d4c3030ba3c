import assert from "node:assert/strict";
import process from "node:process";
import { suite, test } from "node:test";
import type { GatewayStatus } from "../../src/status/status-schema.ts";
import { ask, command, isShownReady, readinessOf, statusOf } from "../support/ask-gateway.ts";
import { linesOf } from "../support/environment-file.ts";
import { createLab, type Lab } from "../support/lab.ts";
import { isReady, reload, stop, tunnelEnvironment, tunnelPsk } from "../support/our-gateway.ts";
import type { Environment, SiteProcess } from "../support/site-process.ts";
import { charonOf } from "../support/traces.ts";
import { waitFor } from "../support/wait-for.ts";

const psk = Buffer.from(tunnelPsk);

const startGateway = (lab: Lab, changes: Environment = {}): SiteProcess =>
  lab.moon.gateway(tunnelEnvironment(lab.moon, lab.sun, { IPSEC_START: "start", ...changes }));

/** Exit code and stdout of `healthcheck`, which says nothing else. */
const health = async (lab: Lab, ...options: readonly string[]): Promise<readonly [number | null, string]> => {
  const { exitCode, stdout, stderr } = await command(lab.moon, "healthcheck", ...options);
  assert.equal(stderr, "");
  return [exitCode, stdout];
};

// They wait for one thing or another.
suite("health", { concurrency: 3 }, () => {
  test("a gateway whose peer is silent is live and not ready, and ready once the peer is there", async () => {
    await using lab = await createLab();
    const moon = startGateway(lab);
    await isReady(moon);
    assert.deepEqual(await health(lab), [0, "live\n"]);
    const [exitCode, stdout] = await health(lab, "--ready");
    assert.equal(exitCode, 1);
    assert.match(stdout, /^not ready\nsite to 192\.0\.2\.2 is (?:connecting|down)\b.*\n$/);
    await moon.waitForRecord(({ event }) => event === "diagnosis");
    assert.match((await health(lab, "--ready"))[1], /: peer-silent: .* \(IPSEC_REMOTEIP, IPSEC_LOCALIP\)\n$/);
    assert.deepEqual(await health(lab), [0, "live\n"]);
    await lab.sun.peer({ connections: [{ psk }] });
    await isShownReady(lab.moon);
    assert.deepEqual(await health(lab, "--ready"), [0, "ready\n"]);
    assert.equal(await stop(moon), 0);
    for (const options of [[], ["--ready"]])
      assert.deepEqual(await health(lab, ...options), [1, "no gateway runs here\n"]);
  });

  test("while charon hangs the gateway says so, is live, and replaces it", async () => {
    await using lab = await createLab();
    await lab.sun.peer({ connections: [{ psk }] });
    const moon = startGateway(lab);
    await isReady(moon);
    await isShownReady(lab.moon);
    const hung = charonOf(moon);
    process.kill(hung, "SIGSTOP");
    const stoppedAt = Date.now();
    const { status, reasons } = await readinessOf(lab.moon);
    assert.deepEqual([status, reasons], [503, ["the IKE daemon is unresponsive"]]);
    const told = JSON.parse((await ask(lab.moon, "/status")).body) as GatewayStatus;
    assert.deepEqual([told.live, told.ready], [true, false]);
    assert.ok(Date.parse(told.daemon.since) >= stoppedAt, told.daemon.since);
    assert.equal((await ask(lab.moon, "/livez")).status, 200);
    await moon.waitForRecord(({ event }) => event === "charon-died");
    await isShownReady(lab.moon);
    const { daemon } = await statusOf(lab.moon);
    assert.deepEqual([daemon.state, daemon.restarts], ["running", 1]);
    assert.notEqual(daemon.pid, hung);
    assert.equal(await stop(moon), 0);
  });

  test("with IPSEC_HTTP_LISTEN there is all but the status over TCP, where a reload says, and nothing after the stop", async () => {
    await using lab = await createLab();
    const settings = { IPSEC_START: "add", IPSEC_HTTP_LISTEN: "127.0.0.1:9100" };
    const written = (changes: Environment) =>
      lab.moon.writeFile("/etc/moon.env", linesOf(tunnelEnvironment(lab.moon, lab.sun, changes)), 0o600);
    await written(settings);
    const moon = lab.moon.gateway({ ENVFILE: "/etc/moon.env" });
    await isReady(moon);
    const base = "http://127.0.0.1:9100";
    assert.deepEqual(await fetchIn(lab, `${base}/livez`), {
      status: 200,
      type: "application/json",
      body: '{"live":true}\n',
    });
    assert.deepEqual(JSON.parse((await fetchIn(lab, `${base}/readyz?full=1`)).body), {
      ready: true,
      reasons: [],
      failures: [],
    });
    const { type, body } = await fetchIn(lab, `${base}/metrics`);
    assert.equal(type, "text/plain; version=0.0.4; charset=utf-8");
    assert.match(body, /^vnf_ipsec_ready 1$/m);
    assert.deepEqual((await fetchIn(lab, `${base}/metrics`, "HEAD")).body, "");
    assert.equal((await fetchIn(lab, `${base}/metrics`, "POST")).status, 405);
    for (const path of ["/status", "/", "/__proto__", "/metrics/"])
      assert.equal((await fetchIn(lab, `${base}${path}`)).status, 404, path);
    assert.deepEqual((await fetchIn(lab, "http://192.0.2.1:9100/livez")).body, "ECONNREFUSED");

    await written({ ...settings, IPSEC_HTTP_LISTEN: "192.0.2.1:9200" });
    await reload(moon);
    assert.equal((await fetchIn(lab, "http://192.0.2.1:9200/livez")).status, 200);
    assert.deepEqual((await fetchIn(lab, `${base}/livez`)).body, "ECONNREFUSED");
    await written({ ...settings, IPSEC_HTTP_LISTEN: "" });
    await reload(moon);
    assert.deepEqual((await fetchIn(lab, "http://192.0.2.1:9200/livez")).body, "ECONNREFUSED");
    assert.deepEqual(await health(lab), [0, "live\n"]);
    assert.equal(await stop(moon), 0);
  });

  test("an address for IPSEC_HTTP_LISTEN that cannot be had ends the start with 69, and a reload to it changes nothing", async () => {
    await using lab = await createLab();
    const holder = lab.moon.spawn([process.execPath, "-e", holding]);
    await holder.waitForOutput(/listening/);
    for (const [address, code] of [
      ["127.0.0.1:9100", "EADDRINUSE"],
      ["192.0.2.99:9100", "EADDRNOTAVAIL"],
    ] as const) {
      const refused = startGateway(lab, { IPSEC_HTTP_LISTEN: address });
      assert.deepEqual(await refused.exited, { exitCode: 69, signal: null });
      const [host, port] = address.split(":");
      assert.ok(
        refused
          .stderr()
          .includes(`error: IPSEC_HTTP_LISTEN: cannot listen at ${host} port ${port}: ${code}\n`),
        refused.stderr(),
      );
    }
    const environment = tunnelEnvironment(lab.moon, lab.sun, { IPSEC_START: "add" });
    await lab.moon.writeFile("/etc/moon.env", linesOf(environment), 0o600);
    const moon = lab.moon.gateway({ ENVFILE: "/etc/moon.env" });
    await isReady(moon);
    const changed = { ...environment, IPSEC_HTTP_LISTEN: "127.0.0.1:9100", IPSEC_LIFETIME: "2h" };
    await lab.moon.writeFile("/etc/moon.env", linesOf(changed), 0o600);
    await assert.rejects(reload(moon), /reload refused: .*IPSEC_HTTP_LISTEN: cannot listen at/);
    await waitFor("the gateway to go on", async () =>
      (await readinessOf(lab.moon)).ready ? true : undefined,
    );
    assert.equal(await stop(moon), 0);
  });
});

type Fetched = { readonly status: number; readonly type: string | null; readonly body: string };

/** From within the site; the error's code as body where nobody answers. */
const fetchIn = async (lab: Lab, url: string, method = "GET"): Promise<Fetched> =>
  JSON.parse(await lab.moon.run([process.execPath, "-e", fetching, url, method])) as Fetched;

const fetching = `
  const [url, method] = process.argv.slice(1);
  fetch(url, { method }).then(
    async (answer) => ({ status: answer.status, type: answer.headers.get("content-type"), body: await answer.text() }),
    (error) => ({ status: 0, type: null, body: error.cause.code }),
  ).then((told) => console.log(JSON.stringify(told)));
`;

const holding = `require("node:net").createServer().listen(9100, "127.0.0.1", () => console.log("listening"));`;
