import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { stroke } from "../../../src/backend/stroke/backend.ts";
import { type ExitCode, exitCodes, Failure } from "../../../src/failure.ts";
import { missingCapabilities } from "../../../src/host/capabilities.ts";
import { chooseDataplane } from "../../../src/host/choose-dataplane.ts";
import { daemonUserIn } from "../../../src/host/daemon-user.ts";
import { requireIncludes } from "../../../src/host/require-includes.ts";
import { requirePrograms } from "../../../src/host/require-programs.ts";
import { childEnvironment, createRunProgram } from "../../../src/host/run-program.ts";
import { createLog } from "../../../src/observe/log.ts";
import { repository } from "../../support/repository.ts";

const directory = mkdtempSync(join(tmpdir(), "vnf-ipsec-prerequisites-"));
after(() => rmSync(directory, { recursive: true, force: true }));

const isFailure =
  (exitCode: ExitCode, ...messages: readonly RegExp[]) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof Failure, String(error));
    assert.equal(error.exitCode, exitCode);
    assert.equal(error.problems.length, messages.length, error.message);
    for (const [index, message] of messages.entries()) {
      assert.match(error.problems[index]?.message ?? "", message);
      assert.ok(error.problems[index]?.hint);
    }
    return true;
  };

test("NET_ADMIN and NET_BIND_SERVICE suffice, and each that is missing is a problem of its own", () => {
  const missing = (effective: string) =>
    missingCapabilities(`Name:\tnode\nCapPrm:\tffff\nCapEff:\t${effective}\nCapBnd:\tffff\n`, [
      "NET_ADMIN",
      "NET_BIND_SERVICE",
    ]).map(({ message }) => message.split(" ")[2]);
  assert.deepEqual(missing("0000000000001400"), []);
  assert.deepEqual(missing("000001ffffffffff"), []);
  assert.deepEqual(missing("0000000000000400"), ["NET_ADMIN"]);
  assert.deepEqual(missing("0000000000001000"), ["NET_BIND_SERVICE"]);
  assert.deepEqual(missing("0000000000000000"), ["NET_ADMIN", "NET_BIND_SERVICE"]);
});

test("each program that is not on the search path is told with where to get it", () => {
  const bin = join(directory, "bin");
  mkdirSync(bin);
  const isMissing = isFailure(exitCodes.unavailable, /^ipsec is not installed/, /^ip is not installed/);
  for (const path of [undefined, "", "/nonexistent", bin])
    assert.throws(() => requirePrograms(path, stroke.daemon), isMissing);
  for (const name of ["ip", "ipsec"]) writeFileSync(join(bin, name), "");
  assert.throws(
    () => requirePrograms(bin, stroke.daemon),
    isMissing,
    "a file that cannot be executed is no program",
  );
  for (const name of ["ip", "ipsec"]) chmodSync(join(bin, name), 0o755);
  requirePrograms(`/nonexistent:${bin}`, stroke.daemon);
});

test("the files of the image include what is rendered, and a mounted one that does not is told", () => {
  requireIncludes(`${repository}/rootfs`);
  const root = join(directory, "root");
  assert.throws(
    () => requireIncludes(root),
    isFailure(
      exitCodes.configuration,
      /ipsec\.conf cannot be read: ENOENT/,
      /ipsec\.secrets cannot be read: ENOENT/,
    ),
  );
  mkdirSync(join(root, "etc"), { recursive: true });
  writeFileSync(join(root, "etc/ipsec.conf"), "config setup\n# include /etc/ipsec.config.d/*.conf\n");
  writeFileSync(join(root, "etc/ipsec.secrets"), "include /etc/ipsec.secrets.d/*.secrets\n");
  assert.throws(
    () => requireIncludes(root),
    isFailure(exitCodes.configuration, /^\/etc\/ipsec\.conf does not include \/etc\/ipsec\.config\.d/),
  );
  writeFileSync(
    join(root, "etc/ipsec.conf"),
    "config setup\n\n  include   /etc/ipsec.config.d/ipsec.*.conf\n",
  );
  requireIncludes(root);
});

const ofAlpine = "root:x:0:0:root:/root:/bin/sh\nipsec:x:101:102:ipsec:/var/empty:/sbin/nologin\n";
const allCapabilities = "CapPrm:\t000001ffffffffff\nCapEff:\t000001ffffffffff\n";

test("files of the daemon belong to the user that it becomes, where there is one", () => {
  assert.deepEqual(daemonUserIn(ofAlpine, allCapabilities), { owner: { uid: 101, gid: 102 }, files: [] });
  assert.deepEqual(daemonUserIn("root:x:0:0:root:/root:/bin/sh\nipsec2:x:1:2:::\n", allCapabilities), {
    files: [],
  });
});

test("the daemon stays root where becoming another user takes a capability that is missing", () => {
  for (const bit of [0, 1, 5, 6, 7, 8]) {
    const effective = (0x1ffffffffffn & ~(1n << BigInt(bit))).toString(16).padStart(16, "0");
    const { owner, files } = daemonUserIn(ofAlpine, `CapEff:\t${effective}\n`);
    assert.equal(owner, undefined);
    assert.match(files[0]?.text ?? "", /user = root\n\tgroup = root/);
  }
});

test("children get what they need of our environment, and nothing of ours", () => {
  assert.deepEqual(
    childEnvironment({
      PATH: "/bin",
      HOME: "/root",
      IPSEC_PSK: "canary",
      IPSEC_PSK_FILE: "x",
      NODE_OPTIONS: "y",
      LC_ALL: "C",
    }),
    {
      PATH: "/bin:/usr/lib/ipsec:/usr/lib/strongswan:/usr/libexec/ipsec",
      HOME: "/root",
      LC_ALL: "C",
    },
  );
});

/** `ip` played by a script; the dataplane that is chosen with it. */
const choose = async (script: string, wanted: "auto" | "kernel" | "userspace", needsKernel?: string) => {
  const bin = mkdtempSync(join(directory, "ip-"));
  const record = join(bin, "record");
  writeFileSync(join(bin, "ip"), `#!/bin/bash\necho "$*" >> ${record}\n${script}\n`, { mode: 0o755 });
  const log = await createLog({
    level: "silent",
    format: "json",
    destination: { write: () => {} },
    secrets: () => [],
  });
  const chosen = await chooseDataplane(wanted, needsKernel, createRunProgram({ PATH: bin }, log));
  return { chosen, calls: await import("node:fs/promises").then(({ readFile }) => readFile(record, "utf8")) };
};

const withoutEsp = 'echo "RTNETLINK answers: Protocol not supported" >&2; exit 2';

test("a kernel that takes an ESP state is used, and the state is taken away again", async () => {
  for (const wanted of ["auto", "kernel"] as const) {
    const { chosen, calls } = await choose("", wanted, "IPSEC_VTI_KEY");
    assert.deepEqual(chosen, { dataplane: "kernel" });
    const [added = "", deleted = "", ...others] = calls.trimEnd().split("\n");
    assert.match(
      added,
      /^xfrm state add src 192\.0\.2\.254 dst 203\.0\.113\.254 proto esp spi 0x000000ff .* limit time-hard 2$/,
    );
    assert.equal(deleted, "xfrm state delete src 192.0.2.254 dst 203.0.113.254 proto esp spi 0x000000ff");
    assert.deepEqual(others, []);
  }
});

test("the state of a probe that was killed a moment ago proves as much", async () => {
  const { chosen } = await choose(
    '[[ $3 == add ]] && { echo "RTNETLINK answers: File exists" >&2; exit 2; }',
    "kernel",
  );
  assert.deepEqual(chosen, { dataplane: "kernel" });
});

test("a kernel without ESP is refused where it is asked for, or a virtual interface needs it", async () => {
  await assert.rejects(
    choose(withoutEsp, "kernel"),
    isFailure(exitCodes.unavailable, /IPSEC_DATAPLANE=kernel cannot be had: .*Protocol not supported/),
  );
  await assert.rejects(
    choose(withoutEsp, "auto", "IPSEC_VTI_KEY"),
    isFailure(exitCodes.unavailable, /IPSEC_VTI_KEY needs ESP in the kernel: .*Protocol not supported/),
  );
});

test("the reason is what the kernel said, without what iproute2 puts before it", async () => {
  await assert.rejects(
    choose('echo "Error: Requested type not found." >&2; exit 2', "kernel"),
    isFailure(exitCodes.unavailable, /^IPSEC_DATAPLANE=kernel cannot be had: Requested type not found\.$/),
  );
});

test("a kernel that does not let us is a matter of permission, whatever else would work", async () => {
  const refusal = 'echo "RTNETLINK answers: Operation not permitted" >&2; exit 2';
  for (const wanted of ["auto", "kernel"] as const)
    await assert.rejects(choose(refusal, wanted), isFailure(exitCodes.permission, /Operation not permitted/));
});
