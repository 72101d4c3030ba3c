// with either backend
// limit: 300 seconds
import assert from "node:assert/strict";
import process from "node:process";
import { before, suite, test } from "node:test";
import { linesOf } from "../../support/environment-file.ts";
import { createLab } from "../../support/lab.ts";
import { stop, tunnelEnvironment } from "../../support/our-gateway.ts";
import type { Site } from "../../support/site.ts";
import type { SiteProcess } from "../../support/site-process.ts";
import { vtiEnvironment } from "../../support/vti-environment.ts";
import { waitFor } from "../../support/wait-for.ts";
import { command } from "../guest/command.ts";
import { isPatientlyReady, patience } from "./patience.ts";

process.env.VNF_IPSEC_COMMAND = "node dist/vnf-ipsec";

// It makes a device in every network namespace as it is loaded, and keeps it.
before(() => command("modprobe", "ip_vti"));

const linkExists = async (site: Site): Promise<boolean> =>
  (await site.exec(["ip", "link", "show", "dev", "vti42"])).exitCode === 0;

suite("run and its virtual interface", { concurrency: true }, () => {
  test("run without its virtual interface, or with one of another key, says what to do and changes nothing", async () => {
    await using lab = await createLab();
    const { moon, sun } = lab;
    const before = await moon.snapshot();
    const missing = moon.gateway(vtiEnvironment(moon, sun));
    assert.equal((await missing.exited).exitCode, 69);
    assert.match(missing.stderr(), /IPSEC_VTI_KEY: vti42 does not exist\n.*hint: run vnf-ipsec init/);
    assert.deepEqual(await moon.snapshot(), before);
    const ends = ["local", moon.address, "remote", sun.address] as const;
    await moon.run(["ip", "link", "add", "vti42", "type", "vti", ...ends, "key", "7"]);
    const other = moon.gateway(vtiEnvironment(moon, sun));
    assert.equal((await other.exited).exitCode, 69);
    assert.match(other.stderr(), /vti42 has other ends or another key/);
  });

  test("run --with-init makes the interface, puts back what others take from it, and removes it at the end", async () => {
    await using lab = await createLab();
    const { moon, sun } = lab;
    const before = await moon.snapshot();
    const gateway = moon.gateway(vtiEnvironment(moon, sun), { args: ["run", "--with-init"] });
    await isPatientlyReady(gateway);
    for (const theft of [
      ["ip", "route", "delete", "10.2.0.0/24", "dev", "vti42"],
      ["ip", "link", "delete", "dev", "vti42"],
    ] as const) {
      await moon.run(theft);
      await hasRoute(moon, gateway);
    }
    assert.ok(gateway.records().some((record) => record["event"] === "interface-mended"));
    gateway.signal("SIGTERM");
    assert.equal((await gateway.exited).exitCode, 0);
    assert.equal(await linkExists(moon), false);
    assert.deepEqual(await moon.snapshot(), before);
  });

  test("an interface that a reload is the first to want is made, kept, and removed at the end", async () => {
    await using lab = await createLab();
    const { moon, sun } = lab;
    const before = await moon.snapshot();
    const policyBased = tunnelEnvironment(moon, sun, { IPSEC_DATAPLANE: "kernel", IPSEC_START: "add" });
    await moon.writeFile("/etc/site.env", linesOf(policyBased));
    const gateway = moon.gateway({ ENVFILE: "/etc/site.env" }, { args: ["run", "--with-init"] });
    await isPatientlyReady(gateway);
    assert.equal(await linkExists(moon), false);
    await moon.writeFile("/etc/site.env", linesOf({ ...policyBased, ...vtiEnvironment(moon, sun) }));
    const from = gateway.records().length;
    gateway.signal("SIGHUP");
    await hasRoute(moon, gateway);
    // charon starts anew, since its own routes would lead around the interface.
    await isPatientlyReady(gateway, from);
    await moon.run(["ip", "link", "delete", "dev", "vti42"]);
    await hasRoute(moon, gateway);
    assert.equal(await stop(gateway), 0);
    assert.deepEqual(await moon.snapshot(), before);
  });
});

/** Over the interface, which is there then. */
const hasRoute = (site: Site, gateway: SiteProcess): Promise<true> =>
  waitFor(
    "the interface and its route",
    async () => {
      const { stdout } = await site.exec(["ip", "route", "show", "dev", "vti42"]);
      return /10\.2\.0\.0\/24/.test(stdout) ? true : undefined;
    },
    { explain: gateway.output, ...patience },
  );
