import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Deployment } from "kubernetes-models/apps/v1";
import { PodDisruptionBudget } from "kubernetes-models/policy/v1";
import { ConfigMap, Secret } from "kubernetes-models/v1";
import { parse } from "yaml";
import { backends } from "../../src/backend/backends.ts";
import { loadSettings } from "../../src/commands/load-settings.ts";
import { type Manifest, renderManifests } from "../support/kustomize.ts";
import { repository } from "../support/repository.ts";

const psk = "a-key-that-is-long-enough-for-a-test\n";
const variants = ["base", "xfrm", "vti", "host-network"];

/** Where `run` writes: connections, secrets, charon.conf, and what lives as long as its processes. */
const writable = [...backends.stroke.directories, "/etc/strongswan.d", "/run"];

const besides: Readonly<Record<string, readonly string[]>> = {
  xfrm: ["/etc/swanctl"],
  "host-network": ["/run/vnf-ipsec"],
};

test("what Kubernetes would get fits its schemas", async () => {
  for (const variant of variants) {
    const manifests = await renderManifests(variant, psk);
    assert.deepEqual(manifests.map(({ kind }) => kind).toSorted(), Object.keys(models).toSorted());
    for (const manifest of manifests) models[manifest.kind as keyof typeof models](manifest);
  }
});

/** Each throws what the schema of its kind refuses. */
const models = {
  ConfigMap: (manifest: Manifest) => new ConfigMap(manifest as never).validate(),
  Deployment: (manifest: Manifest) => new Deployment(manifest as never).validate(),
  PodDisruptionBudget: (manifest: Manifest) => new PodDisruptionBudget(manifest as never).validate(),
  Secret: (manifest: Manifest) => new Secret(manifest as never).validate(),
};

test("without a key of one's own nothing is rendered", async () => {
  for (const variant of variants) await assert.rejects(renderManifests(variant), /psk/);
});

test("the variables that Kubernetes gives are valid, without a warning", async () => {
  for (const variant of variants) {
    const manifests = await renderManifests(variant, psk);
    const { data } = find(manifests, "ConfigMap") as unknown as { data: Record<string, string> };
    const variables = { ...data, IPSEC_LOCALIP: "10.244.0.7" };
    assert.deepEqual((await loadSettings({ ...variables, IPSEC_PSK: psk.trim() }, "gateway")).warnings, []);
    assert.deepEqual((await loadSettings(variables, "init")).warnings, []);
  }
});

test("only the init container that makes a VTI is privileged, and no other has more than two capabilities", async () => {
  for (const variant of variants) {
    for (const { name, securityContext } of containersOf(await renderManifests(variant, psk))) {
      const told = `${name} of ${variant}`;
      assert.equal(securityContext?.readOnlyRootFilesystem, true, told);
      assert.equal(securityContext?.privileged === true, variant === "vti" && name === "init", told);
      if (securityContext?.privileged) continue;
      assert.deepEqual(securityContext?.capabilities?.drop, ["ALL"], told);
      assert.equal(securityContext?.allowPrivilegeEscalation, false, told);
      const needed = name === "init" ? ["NET_ADMIN"] : ["NET_ADMIN", "NET_BIND_SERVICE"];
      assert.deepEqual(securityContext?.capabilities?.add, needed, told);
    }
  }
});

test("the gateway can write where it must, and nowhere else", async () => {
  for (const variant of variants) {
    const gateway = containersOf(await renderManifests(variant, psk)).find(({ name }) => name === "gateway");
    const mounts = gateway?.volumeMounts?.filter(({ readOnly }) => readOnly !== true) ?? [];
    const expected = [...writable, ...(besides[variant] ?? [])];
    assert.deepEqual(mounts.map(({ mountPath }) => mountPath).toSorted(), expected.toSorted());
  }
});

test("the image has the version of this tree", async () => {
  const { version } = JSON.parse(readFileSync(`${repository}/package.json`, "utf8"));
  for (const { image } of containersOf(await renderManifests("base", psk)))
    assert.equal(image, `openvnf/vnf-ipsec:${version}`);
});

test("the two sites of the Compose file have valid variables that mirror each other, and their addresses", async () => {
  const { services, networks } = composeFile();
  const { moon, sun } = services;
  for (const { environment } of [moon, sun])
    assert.deepEqual(
      (await loadSettings({ ...withoutKeyFile(environment), IPSEC_PSK: psk.trim() }, "gateway")).warnings,
      [],
    );
  const facing = (name: "IP" | "NET", one: Service, other: Service): void =>
    assert.equal(one.environment[`IPSEC_LOCAL${name}`], other.environment[`IPSEC_REMOTE${name}`]);
  for (const name of ["IP", "NET"] as const) {
    facing(name, moon, sun);
    facing(name, sun, moon);
  }
  for (const [name, { environment, networks: ends }] of Object.entries(services)) {
    assert.equal(ends["internet"]?.ipv4_address, environment["IPSEC_LOCALIP"]);
    assert.equal(networks[`${name}-net`]?.ipam.config[0]?.subnet, environment["IPSEC_LOCALNET"]);
  }
});

test("the sites of the Compose file have no more rights than those in Kubernetes", () => {
  for (const service of Object.values(composeFile().services)) {
    assert.deepEqual(service.cap_drop, ["ALL"]);
    assert.deepEqual(service.cap_add, ["NET_ADMIN", "NET_BIND_SERVICE"]);
    assert.equal(service.read_only, true);
    assert.deepEqual(service.tmpfs.toSorted(), writable.toSorted());
  }
});

type Service = {
  readonly environment: Readonly<Record<string, string>>;
  readonly networks: Readonly<Record<string, { readonly ipv4_address: string }>>;
  readonly cap_drop: readonly string[];
  readonly cap_add: readonly string[];
  readonly read_only: boolean;
  readonly tmpfs: readonly string[];
};

type ComposeFile = {
  readonly services: { readonly moon: Service; readonly sun: Service };
  readonly networks: Readonly<
    Record<string, { readonly ipam: { readonly config: readonly { readonly subnet: string }[] } }>
  >;
};

const composeFile = (): ComposeFile =>
  parse(readFileSync(`${repository}/deploy/compose/compose.yaml`, "utf8"), { merge: true });

const withoutKeyFile = ({ IPSEC_PSK_FILE: _, ...rest }: Service["environment"]): Record<string, string> =>
  rest;

const find = (manifests: readonly Manifest[], kind: string): Manifest => {
  const found = manifests.find((manifest) => manifest.kind === kind);
  assert.ok(found, `there is no ${kind}`);
  return found;
};

const containersOf = (manifests: readonly Manifest[]) => {
  const { spec } = new Deployment(find(manifests, "Deployment") as never);
  const { initContainers = [], containers = [] } = spec?.template?.spec ?? {};
  return [...initContainers, ...containers];
};
