import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import process from "node:process";
import { test } from "node:test";
import { parse } from "yaml";
import { ask, isShownReady, statusOf } from "../support/ask-gateway.ts";
import { createLab, type Lab } from "../support/lab.ts";
import { isReady, stop, tunnelEnvironment, tunnelPsk } from "../support/our-gateway.ts";
import { type MetricFamily, parseMetrics } from "../support/prometheus.ts";
import { repository } from "../support/repository.ts";
import type { Environment, SiteProcess } from "../support/site-process.ts";
import { charonOf } from "../support/traces.ts";

const psk = Buffer.from(tunnelPsk);

const startGateway = (lab: Lab, changes: Environment = {}): SiteProcess =>
  lab.moon.gateway(tunnelEnvironment(lab.moon, lab.sun, { IPSEC_START: "start", ...changes }));

test("no counter ever falls or vanishes while keys are renewed and charon dies, in any of many scrapes", async () => {
  await using lab = await createLab();
  await lab.sun.peer({ connections: [{ psk }] });
  const moon = startGateway(lab, { IPSEC_IKEREAUTH: "no" });
  await isReady(moon);
  await isShownReady(lab.moon);
  const pinging = lab.moon.continuousPing(lab.sun.host, { intervalSeconds: 0.01 });
  await pinging.waitForAnswer();

  const scrapes: string[] = [];
  let over = false;
  const scraping = (async () => {
    while (!over && scrapes.length < 20_000) scrapes.push((await ask(lab.moon, "/metrics")).body);
  })();
  const rekey = async (kind: "child" | "ike", event: string): Promise<void> => {
    const from = moon.records().length;
    await lab.moon.run(["swanctl", "--rekey", `--${kind}`, "site"]);
    await moon.waitForRecord((record) => record.event === event, { from });
  };
  for (const _ of [1, 2, 3]) await rekey("child", "tunnel-rekeyed");
  for (const _ of [1, 2]) await rekey("ike", "ike-rekeyed");
  const from = moon.records().length;
  process.kill(charonOf(moon), "SIGKILL");
  await moon.waitForRecord(({ event }) => event === "tunnel-up", { from });
  await pinging.waitForAnswer();
  await rekey("child", "tunnel-rekeyed");
  over = true;
  await scraping;
  const { received } = await pinging.stop();

  assert.ok(scrapes.length > 20, `${scrapes.length} scrapes`);
  const read = await parseMetrics(scrapes.filter((text, index) => text !== scrapes[index - 1]));
  const highest = new Map<string, number>();
  for (const families of read) {
    const counters = countersIn(families);
    for (const [series, before] of highest) {
      const value = counters.get(series);
      assert.ok(value !== undefined && value >= before, `${series}: ${before}, then ${value}`);
    }
    for (const [series, value] of counters) highest.set(series, value);
  }
  const last = (name: string) =>
    [...highest].filter(([series]) => series.startsWith(`vnf_ipsec_${name}_total`)).map(([, value]) => value);
  assert.deepEqual(last("child_sa_rekeys"), [4]);
  assert.deepEqual(last("ike_sa_rekeys"), [2]);
  assert.deepEqual(last("child_sa_ups"), [2]);
  assert.deepEqual(last("daemon_restarts"), [1]);
  // What passed between the last look at a charon and its death is not known.
  for (const packets of last("child_sa_packets"))
    assert.ok(packets > received / 2, `${packets} of ${received}`);
  assert.equal(await stop(moon), 0);
});

test("what the metrics say is what status --json says, each with its type and a help text", async () => {
  await using lab = await createLab();
  await lab.sun.peer({ connections: [{ psk }] });
  const moon = startGateway(lab);
  await isReady(moon);
  await isShownReady(lab.moon);
  await lab.moon.ping(lab.sun.host, { count: 3 });
  const [families = []] = await parseMetrics([(await ask(lab.moon, "/metrics")).body]);
  const { connections, gateway, daemon } = await statusOf(lab.moon);
  const [connection] = connections;
  const { traffic, ups } = connection?.children[0] ?? {};
  for (const { name, type, help } of families) {
    assert.match(name, /^vnf_ipsec_[a-z_]+$/);
    assert.ok(type === "counter" || type === "gauge", `${name}: ${type}`);
    assert.match(help, /^[A-Z0-9].*\.$/, name);
  }
  const series = new Map(families.flatMap(({ samples }) => samples.map((one) => [seriesOf(one), one.value])));
  assert.deepEqual(Object.fromEntries([...series].filter(([name]) => !name.includes("_seconds"))), {
    [`vnf_ipsec_build_info{daemon_version=${daemon.version},version=${gateway.version}}`]: 1,
    "vnf_ipsec_daemon_up{}": 1,
    "vnf_ipsec_daemon_restarts_total{}": 0,
    "vnf_ipsec_ready{}": 1,
    "vnf_ipsec_ike_sa_established{connection=site}": 1,
    "vnf_ipsec_ike_sa_rekeys_total{connection=site}": 0,
    "vnf_ipsec_child_sa_installed{child=site,connection=site}": 1,
    "vnf_ipsec_child_sa_ups_total{child=site,connection=site}": ups,
    "vnf_ipsec_child_sa_rekeys_total{child=site,connection=site}": 0,
    "vnf_ipsec_child_sa_bytes_total{child=site,connection=site,direction=in}": traffic?.bytesIn,
    "vnf_ipsec_child_sa_bytes_total{child=site,connection=site,direction=out}": traffic?.bytesOut,
    "vnf_ipsec_child_sa_packets_total{child=site,connection=site,direction=in}": traffic?.packetsIn,
    "vnf_ipsec_child_sa_packets_total{child=site,connection=site,direction=out}": traffic?.packetsOut,
  });
  const seconds = (time: string | undefined): number => Date.parse(`${time}`) / 1000;
  assert.equal(series.get("vnf_ipsec_start_time_seconds{}"), seconds(gateway.startedAt));
  assert.equal(
    series.get("vnf_ipsec_last_handshake_timestamp_seconds{connection=site}"),
    seconds(connection?.lastHandshakeAt),
  );
  assert.equal(await stop(moon), 0);
});

test("the dashboard, the alerts and the page about monitoring know the metrics and labels that there are", async () => {
  await using lab = await createLab();
  // A failure, so that its series are there.
  await lab.sun.peer({ connections: [{ psk, proposals: "aes256gcm16-prfsha384-ecp384" }] });
  const moon = startGateway(lab);
  await moon.waitForRecord(({ event }) => event === "diagnosis");
  const [families = []] = await parseMetrics([(await ask(lab.moon, "/metrics")).body]);
  const names = families.map(({ name, type }) => (type === "counter" ? `${name}_total` : name));
  const labels = new Set(["job", "instance"]);
  for (const { samples } of families)
    for (const one of samples) for (const label of Object.keys(one.labels)) labels.add(label);

  const expressions = [...dashboardExpressions(), ...alertExpressions()];
  assert.ok(expressions.length > 15);
  for (const expression of expressions) {
    const used = expression.match(/\bvnf_ipsec_\w+/g) ?? [];
    assert.ok(used.length > 0, expression);
    assert.deepEqual(
      used.filter((name) => !names.includes(name)),
      [],
      expression,
    );
    const selected = [...expression.matchAll(/(\w+)(?:=~?|!=)"|\b(?:by|on) \(([^)]*)\)/g)].flatMap(
      ([, label, list]) => [label, ...(list?.split(", ") ?? [])].filter((one) => one !== undefined),
    );
    assert.deepEqual(
      selected.filter((label) => !labels.has(label)),
      [],
      expression,
    );
  }
  const page = readFileSync(`${repository}/docs/monitoring.md`, "utf8");
  const described = [...page.matchAll(/^\| `(vnf_ipsec_\w+)`/gm)].map(([, name]) => name);
  assert.deepEqual(described, names);
  assert.equal(await stop(moon), 0);
});

const countersIn = (families: readonly MetricFamily[]): ReadonlyMap<string, number> =>
  new Map(
    families
      .filter(({ type }) => type === "counter")
      .flatMap(({ samples }) => samples.map((one) => [seriesOf(one), one.value] as const)),
  );

const seriesOf = ({ name, labels }: MetricFamily["samples"][number]): string =>
  `${name}{${Object.entries(labels)
    .map(([label, value]) => `${label}=${value}`)
    .sort()
    .join(",")}}`;

const dashboardExpressions = (): readonly string[] => {
  const dashboard = JSON.parse(readFileSync(`${repository}/deploy/grafana/vnf-ipsec.json`, "utf8")) as {
    readonly panels: readonly { readonly targets: readonly { readonly expr: string }[] }[];
    readonly templating: {
      readonly list: readonly { readonly query: string | { readonly query: string } }[];
    };
  };
  const variables = dashboard.templating.list.flatMap(({ query }) =>
    typeof query === "string" ? [] : [query.query],
  );
  return [...dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)), ...variables];
};

const alertExpressions = (): readonly string[] => {
  const { groups } = parse(readFileSync(`${repository}/deploy/prometheus/vnf-ipsec.rules.yaml`, "utf8")) as {
    readonly groups: readonly { readonly rules: readonly { readonly expr: string }[] }[];
  };
  return groups.flatMap(({ rules }) => rules.map(({ expr }) => expr));
};
