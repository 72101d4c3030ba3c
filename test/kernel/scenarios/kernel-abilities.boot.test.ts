import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { command } from "../guest/command.ts";

const abilities = [
  ...["esp4", "esp6", "xfrm_user", "xfrm_interface", "ip_vti", "ip6_vti", "gcm", "authenc"],
  ...["veth", "sch_netem", "nf_tables", "tun"],
];

test("a fresh guest has no module that an IPsec gateway or its test needs", () => {
  assert.deepEqual(abilities.filter(isLoaded), []);
});

for (const name of abilities)
  test(`modprobe loads ${name}`, async () => {
    await command("modprobe", name);
    assert.ok(isLoaded(name));
  });

test("modprobe fails for a module that does not exist", async () => {
  await assert.rejects(command("modprobe", "no_such_module"), /no_such_module not found/);
});

const isLoaded = (name: string): boolean =>
  new RegExp(`^${name} `, "m").test(readFileSync("/proc/modules", "utf8"));
