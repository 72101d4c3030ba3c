// limit: 300 seconds
import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { linesOf } from "../../support/environment-file.ts";
import { createLab, type Lab } from "../../support/lab.ts";
import type { Argv } from "../../support/namespace.ts";
import { hasTunnels, reload, stop, tunnelEnvironment, tunnelPsk } from "../../support/our-gateway.ts";
import type { Environment } from "../../support/site-process.ts";
import { isPatientlyReady, patience } from "./patience.ts";

process.env.VNF_IPSEC_COMMAND = "node dist/vnf-ipsec";

const lan = { network: "10.1.9.0/24", gateway: "10.1.9.1", host: "10.1.9.2" };

test("hosts behind the gateway, a path that swallows large packets, and masquerading", async (context) => {
  // venus is a host in moon's local network here, and its only way to sun is moon.
  await using lab = await createLab({ router: true, venus: {} });
  const { moon, sun, venus } = lab;
  await connectLan(lab);
  await sun.peer({ connections: [{ psk: Buffer.from(tunnelPsk), remoteNetworks: [lan.network] }] });
  await setVariables(lab, { IPSEC_MSS: "off" });
  const gateway = moon.gateway({ ENVFILE: envFile });
  await isPatientlyReady(gateway);
  await hasTunnels(gateway);

  await context.test("without IPSEC_MSS big transfers hang, and with it they pass, each way", async () => {
    await lab.router.run(["nft", "-f", "-"], { input: swallowing });
    const hanging = await transfer(lab, 8);
    assert.deepEqual(hanging, { connected: true, same: false, toSun: 1460 });
    assert.match(await lab.router.run(["nft", "list", "ruleset"]), /packets [1-9]\d* bytes \d+ drop/);
    await setVariables(lab, { IPSEC_MSS: "1240" });
    await reload(gateway);
    const answers = await venus.capture("tcp[tcpflags] & tcp-syn != 0", { device: "lan0" });
    assert.deepEqual(await transfer(lab, 60), { connected: true, same: true, toSun: 1240 });
    const answer = (await answers.stop()).find((packet) => packet.includes(`${sun.host}.4000 >`));
    assert.match(answer ?? "", /mss 1240/);
  });

  await context.test(
    "masqueraded packets miss the tunnel, and with IPSEC_NAT_EXEMPT they are not masqueraded",
    async () => {
      const ping = { from: lan.host };
      for (const [add, remove] of translators) {
        await moon.run(add);
        assert.equal((await venus.ping(sun.host, ping)).received, 0, add.join(" "));
        await moon.run(remove);
      }
      await setVariables(lab, { IPSEC_MSS: "off", IPSEC_NAT_EXEMPT: "yes" });
      await reload(gateway);
      for (const [add, remove] of translators) {
        await moon.run(add);
        const seen = await sun.capture("icmp[icmptype] == icmp-echo");
        const wire = await moon.capture("icmp", { sentOnly: true });
        const pings = venus.continuousPing(sun.host, { ...ping, intervalSeconds: 0.2 });
        await pings.waitForAnswer(patience);
        await pings.stop();
        assert.deepEqual(await wire.stop(), []);
        const requests = await seen.stop();
        assert.ok(requests.length > 0);
        for (const request of requests) assert.ok(request.includes(` ${lan.host} > ${sun.host}:`), request);
        await moon.run(remove);
      }
    },
  );

  assert.equal(await stop(gateway), 0);
  assert.doesNotMatch(await moon.run(["nft", "list", "ruleset"]), /vnf_ipsec/);
});

const envFile = "/etc/site.env";

const setVariables = ({ moon, sun }: Lab, changes: Environment): Promise<void> =>
  moon.writeFile(
    envFile,
    linesOf(
      tunnelEnvironment(moon, sun, {
        IPSEC_LOCALNET: lan.network,
        IPSEC_START: "start",
        IPSEC_DATAPLANE: "kernel",
        ...changes,
      }),
    ),
  );

const connectLan = async ({ moon, sun, venus }: Lab): Promise<void> => {
  const peer = ["peer", "name", "lan0", "netns", `${venus.pid}`] as const;
  await moon.run(["ip", "link", "add", "lan0", "type", "veth", ...peer]);
  await moon.run(["ip", "address", "add", `${lan.gateway}/24`, "dev", "lan0"]);
  await moon.run(["ip", "link", "set", "lan0", "up"]);
  await moon.run(["sysctl", "-qw", "net.ipv4.ip_forward=1"]);
  await venus.run(["ip", "address", "add", `${lan.host}/24`, "dev", "lan0"]);
  await venus.run(["ip", "link", "set", "lan0", "up"]);
  for (const network of sun.networks) await venus.run(["ip", "route", "add", network, "via", lan.gateway]);
};

/** What is too long on its way between the sites is lost, and nobody is told. */
const swallowing = `
table inet swallow {
  chain passing {
    type filter hook forward priority 0; policy accept;
    meta length > 1400 counter drop
  }
}
`;

/** How a rule is made that masquerades whatever leaves by eth0, and how it is removed, by each program for it. */
const translators: readonly (readonly [add: Argv, remove: Argv])[] = [
  [
    [
      "nft",
      'table ip others { chain out { type nat hook postrouting priority srcnat; policy accept; oifname "eth0" masquerade; }; }',
    ],
    ["nft", "delete", "table", "ip", "others"],
  ],
  ...["iptables-nft", "iptables-legacy"].map((program) => {
    const rule = (verb: string): Argv => [
      ...([program, "-t", "nat", verb, "POSTROUTING", "-o", "eth0", "-j", "MASQUERADE"] as const),
    ];
    return [rule("-A"), rule("-D")] as const;
  }),
];

/** Whether venus gets back from sun what it sends there in so many seconds; and the MSS of its SYN as sun gets it. */
const transfer = async ({ sun, venus }: Lab, seconds: number) => {
  const seen = await sun.capture("tcp[tcpflags] & tcp-syn != 0 and tcp dst port 4000");
  const server = sun.spawn([process.execPath, "-e", echo, sun.host]);
  await server.waitForOutput(/listening/, patience);
  const words = [process.execPath, "-e", sendAndCompare, sun.host, lan.host];
  const { stdout } = await venus.exec(["timeout", `${seconds}`, ...words], { timeoutMs: 90_000 });
  await server.kill();
  const syn = (await seen.stop()).find((packet) => packet.includes(`${lan.host}.`));
  return {
    connected: /^connected$/m.test(stdout),
    same: /^same$/m.test(stdout),
    toSun: Number(/mss (\d+)/.exec(syn ?? "")?.[1]),
  };
};

const echo = `
const server = require("node:net").createServer({ allowHalfOpen: true }, (socket) => {
  server.close();
  socket.on("error", () => {}).pipe(socket);
});
server.listen(4000, process.argv[1], () => console.log("listening"));
`;

const sendAndCompare = `
const [, host, localAddress] = process.argv;
const sent = require("node:crypto").randomBytes(300_000);
const socket = require("node:net").connect({ host, port: 4000, localAddress }, () => {
  console.log("connected");
  socket.end(sent);
});
const received = [];
socket.on("data", (chunk) => received.push(chunk));
socket.on("end", () => console.log(Buffer.concat(received).equals(sent) ? "same" : "different"));
`;
