// with either backend
// limit: 300 seconds
import assert from "node:assert/strict";
import process from "node:process";
import { before, suite, test } from "node:test";
import { createLab } from "../../support/lab.ts";
import type { Site } from "../../support/site.ts";
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
      await waitFor(
        "the interface to be put back",
        async () => {
          const { stdout } = await moon.exec(["ip", "route", "show", "dev", "vti42"]);
          return /10\.2\.0\.0\/24/.test(stdout) ? true : undefined;
        },
        { explain: gateway.output, ...patience },
      );
    }
    assert.ok(gateway.records().some((record) => record["event"] === "interface-mended"));
    gateway.signal("SIGTERM");
    assert.equal((await gateway.exited).exitCode, 0);
    assert.equal(await linkExists(moon), false);
    assert.deepEqual(await moon.snapshot(), before);
  });
});
