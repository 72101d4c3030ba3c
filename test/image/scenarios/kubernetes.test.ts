// limit: 900 seconds
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { isPatientlyReady, patience } from "../../kernel/scenarios/patience.ts";
import { createLab, type Lab } from "../../support/lab.ts";
import { containerBlocks } from "../../support/readme-blocks.ts";
import { repository } from "../../support/repository.ts";
import type { Environment, SiteProcess } from "../../support/site-process.ts";
import { privileged, startContainer } from "../support/container.ts";
import { type ContainerHost, openContainerHost } from "../support/container-host.ts";

const [makeKey = "", applyBase = "", status = ""] = containerBlocks.kubernetes.trimEnd().split("\n");
const gatewayContainer = "vnf-ipsec-pod-0-gateway";

test("the pod of the base calls its peer, is live, carries a ping, and says goodbye", () =>
  withPod(async ({ lab: { moon, sun }, node }) => {
    const peer = await startPeer(sun);
    await apply(node, applyBase, moon.address);
    await hasTunnel(node);
    assert.equal((await moon.ping(sun.host, { count: 3 })).received, 3);
    await node.run(`podman healthcheck run ${gatewayContainer}`);
    assert.match(await node.run(status), /^site .*\bup\b/m);
    const said = await node.run(`podman exec ${gatewayContainer} sh -c 'cat /proc/1/status; ! touch /file'`);
    assert.match(said, /^CapBnd:\s*0000000000001400$/m);

    await node.run("podman pod stop vnf-ipsec-pod-0");
    assert.equal(await node.run(`podman inspect --format '{{.State.ExitCode}}' ${gatewayContainer}`), "0\n");
    await peer.waitForOutput(/received DELETE for IKE_SA/);
  }));

test("init of the variant xfrm makes the interface without privilege, and the gateway of the pod carries a ping over it", () =>
  withPod(async ({ lab: { moon, sun }, node }) => {
    await startPeer(sun);
    await apply(node, "kubectl apply -k deploy/kubernetes/xfrm", moon.address);
    await hasTunnel(node);
    assert.equal((await moon.ping(sun.host, { count: 3 })).received, 3);
    const [link] = JSON.parse(
      await moon.run(["ip", "-json", "-statistics", "link", "show", "dev", "xfrm42"]),
    );
    assert.ok(link.stats64.rx.packets >= 3);
  }));

test("init of the variant vti makes the interface, and the gateway of the pod carries a ping over it", () =>
  withPod(async ({ lab: { moon, sun }, node }) => {
    await startPeer(sun, {
      IPSEC_LOCALNET: "0.0.0.0/0",
      IPSEC_REMOTENET: "0.0.0.0/0",
      IPSEC_VTI_KEY: "42",
      IPSEC_VTI_IPADDR_LOCAL: "169.254.10.2",
      IPSEC_VTI_IPADDR_PEER: "169.254.10.1",
      IPSEC_VTI_STATICROUTES: "10.1.0.0/24",
    });
    await apply(node, "kubectl apply -k deploy/kubernetes/vti", moon.address);
    await hasTunnel(node);
    assert.equal((await moon.ping(sun.host, { count: 3 })).received, 3);
    const [link] = JSON.parse(await moon.run(["ip", "-json", "-statistics", "link", "show", "dev", "vti42"]));
    assert.ok(link.stats64.rx.packets >= 3);
  }));

test("the variant host-network adds the route that Calico needs, and takes it back", () =>
  withPod(async ({ lab: { moon, sun }, node }) => {
    await startPeer(sun);
    await apply(node, "kubectl apply -k deploy/kubernetes/host-network", moon.address);
    await hasTunnel(node);
    const route = () => moon.run(["ip", "route", "show", "10.2.0.0/24"]);
    assert.equal((await route()).trim(), `10.2.0.0/24 via ${sun.address} dev eth0 src ${moon.address}`);
    assert.equal((await moon.ping(sun.host, { count: 3 })).received, 3);
    await node.run("podman pod stop vnf-ipsec-pod-0");
    assert.equal(await route(), "");
  }));

type Pod = { readonly lab: Lab; readonly node: ContainerHost };

const withPod = async (body: (pod: Pod) => Promise<void>): Promise<void> => {
  await using lab = await createLab();
  await using node = await openContainerHost(lab.moon);
  await node.run(makeKey);
  await body({ lab, node });
};

const apply = (node: ContainerHost, command: string, address: string): Promise<string> =>
  node.run(command, { POD_ADDRESS: address });

const startPeer = async (sun: Lab["sun"], changes: Environment = {}): Promise<SiteProcess> => {
  const peer = startContainer(
    sun,
    {
      IPSEC_LOCALIP: sun.address,
      IPSEC_LOCALID: "sun.example.com",
      IPSEC_LOCALNET: "10.2.0.0/24",
      IPSEC_REMOTEIP: "192.0.2.1",
      IPSEC_REMOTEID: "moon.example.com",
      IPSEC_REMOTENET: "10.1.0.0/24",
      IPSEC_PSK: readFileSync(`${repository}/deploy/kubernetes/base/psk`, "utf8").trim(),
      ...changes,
    },
    { flags: privileged, args: ["run", "--with-init"] },
  );
  await isPatientlyReady(peer);
  return peer;
};

const hasTunnel = async (node: ContainerHost): Promise<void> => {
  await node.logs(gatewayContainer).waitForOutput(/CHILD_SA \S+ established/, patience);
};
