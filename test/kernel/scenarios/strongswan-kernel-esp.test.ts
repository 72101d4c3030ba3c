import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { waitFor } from "../../support/wait-for.ts";
import { command } from "../guest/command.ts";

/** Two plain charons with hand-written files: what the guest's kernel and the host's strongSwan do without any code of ours. */
type Site = {
  readonly name: string;
  readonly address: string;
  readonly network: string;
  readonly inner: string;
};

const moon: Site = { name: "moon", address: "192.0.2.1", network: "10.1.0.0/24", inner: "10.1.0.1" };
const sun: Site = { name: "sun", address: "192.0.2.2", network: "10.2.0.0/24", inner: "10.2.0.1" };

const daemons = new Map<Site, ChildProcess>();
let folder: string;

before(async () => {
  folder = await mkdtemp("/tmp/sites-");
  for (const { name } of [moon, sun]) await command("ip", "netns", "add", name);
  const cable = ["netns", "moon", "type", "veth", "peer", "name", "eth0", "netns", "sun"];
  await command("ip", "link", "add", "eth0", ...cable);
  for (const site of [moon, sun]) {
    await inside(site, "ip", "address", "add", `${site.address}/24`, "dev", "eth0");
    await inside(site, "ip", "address", "add", `${site.inner}/24`, "dev", "lo");
    for (const device of ["lo", "eth0"]) await inside(site, "ip", "link", "set", device, "up");
  }
});

after(async () => {
  for (const daemon of daemons.values()) {
    daemon.kill("SIGTERM");
    if (daemon.exitCode === null) await once(daemon, "exit");
  }
  for (const { name } of [moon, sun]) await command("ip", "netns", "delete", name);
  await rm(folder, { recursive: true });
});

test("two charons load their connections", async () => {
  for (const [site, peer] of [
    [moon, sun],
    [sun, moon],
  ] as const) {
    await mkdir(`${folder}/${site.name}`);
    await writeFile(`${folder}/${site.name}/strongswan.conf`, strongswanConf);
    await writeFile(`${folder}/${site.name}/swanctl.conf`, swanctlConf(site, peer));
    daemons.set(site, startCharon(site));
  }
  for (const site of [moon, sun]) {
    const socket = `/proc/${daemons.get(site)?.pid}/root/run/charon.vici`;
    await waitFor(`charon of ${site.name} to open its socket`, () => existsSync(socket) || undefined);
    assert.match(
      await swanctl(site, "--load-all", "--file", `${folder}/${site.name}/swanctl.conf`),
      /loaded connection/,
    );
  }
});

test("the CHILD SA is in the kernel, as ESP", async () => {
  await swanctl(moon, "--initiate", "--child", "net");
  for (const site of [moon, sun]) {
    const states = await inside(site, "ip", "xfrm", "state");
    assert.equal(states.match(/proto esp spi/g)?.length, 2);
    assert.match(states, /aead rfc4106\(gcm\(aes\)\)/);
  }
});

test("a ping crosses, and only ESP leaves the sites", async () => {
  const captures = await Promise.all([moon, sun].map(captureLeaving));
  const answer = await inside(moon, "ping", "-c", "3", "-i", "0.2", "-W", "5", "-I", moon.inner, sun.inner);
  assert.match(answer, /3 received, 0% packet loss/);
  for (const { seen, stop } of captures) {
    await waitFor("three ESP packets", () => seen().match(/ESP/g)?.length === 3 || undefined, {
      explain: seen,
    });
    await stop();
    assert.doesNotMatch(seen(), /ICMP/);
  }
});

/** Outgoing only: an incoming packet is seen a second time on the same device, decrypted (net/xfrm/xfrm_input.c). */
const captureLeaving = async (site: Site) => {
  const words = ["--no-promiscuous-mode", "--direction=out", "-i", "eth0", "-nl", "ip"];
  const capture = spawn("ip", ["netns", "exec", site.name, "tcpdump", ...words]);
  let packets = "";
  let said = "";
  capture.stdout.on("data", (text) => {
    packets += text;
  });
  capture.stderr.on("data", (text) => {
    said += text;
  });
  await waitFor("tcpdump to listen", () => said.includes("listening on") || undefined);
  const stop = async (): Promise<void> => {
    capture.kill("SIGINT");
    await once(capture, "close");
  };
  return { seen: () => packets, stop };
};

const inside = (site: Site, ...argv: readonly string[]): Promise<string> =>
  command("ip", "netns", "exec", site.name, ...argv);

const startCharon = (site: Site): ChildProcess => {
  const script = 'mount -t tmpfs tmpfs /run && exec env STRONGSWAN_CONF="$1" /usr/lib/ipsec/charon';
  const argv = ["netns", "exec", site.name, "unshare", "--mount", "sh", "-c", script, "sh"];
  return spawn("ip", [...argv, `${folder}/${site.name}/strongswan.conf`], { stdio: "inherit" });
};

const swanctl = (site: Site, ...argv: readonly string[]): Promise<string> => {
  const settings = `STRONGSWAN_CONF=${folder}/${site.name}/strongswan.conf`;
  const enter = [`--target=${daemons.get(site)?.pid}`, "--mount", "--net"];
  return command("nsenter", ...enter, "env", settings, "swanctl", ...argv);
};

const strongswanConf = `
charon {
  load = random nonce aes sha1 sha2 hmac kdf gcm openssl pem pkcs1 pubkey x509 kernel-netlink socket-default vici updown
  filelog {
    stderr {
      default = 1
      ike_name = yes
    }
  }
}
# Without a list swanctl takes all plugins, and af-alg has the kernel look for a module for each algorithm: ten seconds.
swanctl {
  load = random pem pkcs1 openssl
}
`;

const swanctlConf = (site: Site, peer: Site): string => `
connections {
  peer {
    version = 2
    local_addrs = ${site.address}
    remote_addrs = ${peer.address}
    proposals = aes256gcm16-prfsha384-ecp256
    local {
      auth = psk
      id = ${site.name}
    }
    remote {
      auth = psk
      id = ${peer.name}
    }
    children {
      net {
        local_ts = ${site.network}
        remote_ts = ${peer.network}
        esp_proposals = aes256gcm16-ecp256
      }
    }
  }
}
secrets {
  ike-peer {
    id-1 = ${site.name}
    id-2 = ${peer.name}
    secret = 0sdGhlIHR3byBzaXRlcyBhZ3JlZWQgb24gdGhpcw==
  }
}
`;
