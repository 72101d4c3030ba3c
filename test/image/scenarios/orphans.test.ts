// limit: 600 seconds
import assert from "node:assert/strict";
import { test } from "node:test";
import { createLab } from "../../support/lab.ts";
import { isReady, tunnelEnvironment } from "../../support/our-gateway.ts";
import { attempts } from "../../support/scale.ts";
import { privileged, startContainer } from "../support/container.ts";

test("orphans of whatever runs in the container are buried, so none stays a zombie, and its end is still the gateway's", async () => {
  await using lab = await createLab();
  const { moon, sun } = lab;
  const gateway = startContainer(moon, tunnelEnvironment(moon, sun), { flags: privileged });
  await isReady(gateway);
  const count = attempts({ usual: 200, full: 10_000 });
  // Each outlives its parent, which passes it on to the first process of the container.
  const [first = "", zombies = ""] = (
    await gateway.exec(
      "bash",
      "-c",
      `for ((made = 0; made < ${count}; made += 20)); do
        (for ((i = 0; i < 20; i++)); do (sleep 0.1 &); done)
      done
      while pgrep --exact --runstates DRS sleep >/dev/null; do :; done
      cat /proc/1/comm
      zombies() { grep --count --no-messages '^State:.Z' /proc/[0-9]*/status | grep --count ':1$'; }
      for ((look = 0; look < 100; look++)); do [[ $(zombies) != 0 ]] || break; done
      zombies || true`,
    )
  ).split("\n");
  assert.equal(first, "tini");
  assert.equal(zombies, "0");
  assert.equal((await gateway.stop()).exitCode, 0, gateway.output());
});
