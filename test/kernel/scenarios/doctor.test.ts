// with either backend
// limit: 300 seconds
import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { createLab } from "../../support/lab.ts";
import { stop, tunnelEnvironment, tunnelPsk } from "../../support/our-gateway.ts";
import { isPatientlyReady, patience } from "./patience.ts";

process.env.VNF_IPSEC_COMMAND = "node dist/vnf-ipsec";

type Result = {
  readonly name: string;
  readonly verdict: string;
  readonly message: string;
  readonly hint?: string;
};

test("over a VTI the doctor measures the path and names the IPSEC_MTU; its bundle has the kernel's states without keys", async () => {
  await using lab = await createLab();
  const { moon, sun } = lab;
  await sun.peer({ connections: [{ psk: Buffer.from(tunnelPsk) }] });
  const environment = tunnelEnvironment(moon, sun, {
    IPSEC_VTI_KEY: "42",
    IPSEC_VTI_STATICROUTES: sun.networks.join(","),
    IPSEC_START: "start",
    IPSEC_DATAPLANE: "kernel",
  });
  const gateway = moon.gateway(environment, { args: ["run", "--with-init"] });
  await isPatientlyReady(gateway);
  await gateway.waitForRecord(({ event }) => event === "tunnel-up", patience);
  // Packets over the interface are masqueraded by no rule about another one.
  await moon.run(["nft", "-f", "-"], {
    input:
      'table ip nat { chain out { type nat hook postrouting priority 100; policy accept; oifname "eth0" masquerade; }; }',
  });
  // What is too long on the wire is swallowed at the other end of it.
  await sun.run(["nft", "-f", "-"], {
    input:
      "table inet swallow { chain in { type filter hook prerouting priority -300; policy accept; udp length > 1280 drop; }; }",
  });

  const doctor = moon.gateway(environment, {
    args: ["doctor", "--json", "--target", sun.host, "--bundle", "/run/bundle.json"],
  });
  assert.equal((await doctor.exited).exitCode, 0, doctor.output());
  const { results } = JSON.parse(doctor.stdout()) as { results: readonly Result[] };
  const unwell = results.filter(({ verdict }) => verdict !== "ok");
  assert.deepEqual(
    unwell.map(({ name, verdict }) => `${name} ${verdict}`),
    ["mtu warning"],
    doctor.stdout(),
  );
  assert.match(unwell[0]?.message ?? "", /has 1238 bytes, but vti42 has an MTU of 1422$/);
  assert.match(unwell[0]?.hint ?? "", /^set IPSEC_MTU=1238; /);
  const said = results.map(({ message }) => message);
  assert.ok(said.includes("ESP runs in the kernel") && said.includes("vti42 is as it should be"));

  const states = await moon.run(["ip", "xfrm", "state"]);
  const keys = [...states.matchAll(/0x([0-9a-f]{40,})/g)].map(([, key = ""]) => key);
  assert.ok(keys.length >= 2, states);
  const bundle = await moon.readFile("/run/bundle.json");
  for (const key of keys) assert.ok(!bundle.includes(key));
  const listed = JSON.parse(bundle).host.commands["ip xfrm state list nokeys"];
  assert.match(listed.stdout, /src 192\.0\.2\.1 dst 192\.0\.2\.2\n\tproto esp/);
  assert.equal(await stop(gateway), 0);
});
