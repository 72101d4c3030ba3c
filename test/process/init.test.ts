import assert from "node:assert/strict";
import { test } from "node:test";
import { minimal } from "../support/environment-of.ts";
import { openStage, type Stage } from "../support/stage.ts";

/** Programs that answer as a host does where nothing is there, and refuse the change whose number is in a file. */
const refusing = `read -r count < /run/changes || count=0
echo $((++count)) > /run/changes
read -r refused < /run/refused || refused=0
if [[ $count == "$refused" ]]; then
	read -r words < /run/words
	echo "$words" >&2
	exit 2
fi`;

const scripts = {
  ip: `if [[ $1 == -json ]]; then
	if [[ "$2 $3" == "-details link" && -e /run/link ]]; then echo "$(< /run/link)"; exit 0; fi
	echo "Device does not exist." >&2
	exit 1
fi
${refusing}`,
  sysctl: refusing,
  modprobe: refusing,
} as const;

const environment = {
  IPSEC_LOCALIP: minimal.IPSEC_LOCALIP,
  IPSEC_REMOTEIP: minimal.IPSEC_REMOTEIP,
  IPSEC_VTI_KEY: "42",
  IPSEC_VTI_IPADDR_LOCAL: "169.254.10.1",
  IPSEC_VTI_IPADDR_PEER: "169.254.10.2",
  IPSEC_VTI_STATICROUTES: "10.2.0.0/16,10.3.0.0/16",
} as const;

type Refusal = { readonly change: number; readonly words: string };

/** One `init`: how it ended, what it said, and the commands that were to change something, in order. */
const init = async (
  stage: Stage,
  changes: Readonly<Record<string, string>> = {},
  refusal: Refusal = { change: 0, words: "" },
  through: readonly string[] = [],
) => {
  await stage.namespace.writeFile("/run/changes", "0\n", 0o666);
  await stage.namespace.writeFile("/run/refused", `${refusal.change}\n`);
  await stage.namespace.writeFile("/run/words", `${refusal.words}\n`);
  const before = (await stage.calls()).length;
  const process = stage.run({ ...environment, ...changes }, { args: ["init"], through });
  const { exitCode } = await process.exited;
  const commands = (await stage.calls())
    .slice(before)
    .map(({ argv }) => argv)
    .filter((argv) => argv[1] !== "-json")
    .map((argv) => argv.join(" "));
  return { exitCode, commands, process };
};

const errorsOf = (stderr: string): readonly string[] =>
  stderr.split("\n").filter((line) => line.startsWith("vnf-ipsec: error:"));

/** What takes a command back, if anything has to. */
const inverse = (command: string): string | undefined => {
  if (command.startsWith("ip link add vti42 ")) return "ip link delete dev vti42";
  return /^ip (?:address|route) add /.test(command) ? command.replace(" add ", " delete ") : undefined;
};

test("init makes modules, link, address and routes where nothing is there, and ends in 0", async () => {
  await using stage = await openStage(scripts);
  const { exitCode, commands, process } = await init(stage);
  assert.equal(exitCode, 0, process.output());
  assert.deepEqual(
    commands.filter((command) => command.startsWith("ip ")),
    [
      "ip link add vti42 type vti local 192.0.2.1 remote 192.0.2.2 key 42",
      "ip link set dev vti42 mtu 1422",
      "ip link set dev vti42 up",
      "ip address add 169.254.10.1 peer 169.254.10.2 dev vti42",
      "ip route add 10.2.0.0/16 dev vti42",
      "ip route add 10.3.0.0/16 dev vti42",
    ],
  );
  assert.deepEqual(
    process
      .records()
      .filter(({ event }) => event === "host-changed")
      .map(({ command }) => command),
    commands,
    "every change is told",
  );
  const done = process.records().find(({ event }) => event === "initialised");
  assert.deepEqual([done?.["interface"], done?.["changes"]], ["vti42", commands.length]);
});

test("whichever command fails, what was made before it is taken back in reverse, and the message names it", {
  timeout: 180_000,
}, async () => {
  await using stage = await openStage(scripts);
  const { commands: all } = await init(stage);
  assert.ok(all.length >= 7, all.join("\n"));
  for (const [index, refused] of all.entries()) {
    const { exitCode, commands, process } = await init(
      stage,
      {},
      { change: index + 1, words: "RTNETLINK answers: No buffer space available" },
    );
    if (refused.startsWith("modprobe ")) {
      assert.equal(exitCode, 0, process.output());
      assert.deepEqual(commands, all, "what is built in cannot be loaded");
      const warning = process.records().find(({ event }) => event === "host-unchanged");
      assert.equal(warning?.["command"], refused);
      continue;
    }
    const made = all.slice(0, index);
    const undone = made.map(inverse).filter((command) => command !== undefined);
    assert.deepEqual(commands, [...made, refused, ...undone.toReversed()]);
    assert.equal(exitCode, 69, process.output());
    const [error = "", ...others] = errorsOf(process.stderr());
    assert.deepEqual(others, []);
    assert.ok(error.endsWith(`: ${refused}: RTNETLINK answers: No buffer space available`), error);
    assert.match(process.stderr(), /^vnf-ipsec: hint: \S/m);
    assert.doesNotMatch(process.output(), /^\s+at /m);
  }
});

test("a kernel that refuses ends in 77, one without the interface in 69, each with its remedy", async () => {
  await using stage = await openStage(scripts);
  const { commands } = await init(stage);
  const link = commands.findIndex((command) => command.startsWith("ip link add")) + 1;
  const setting = commands.findIndex((command) => command.startsWith("sysctl")) + 1;
  assert.ok(link > 0 && setting > link, commands.join("\n"));
  for (const [change, words, code, hint] of [
    [link, "RTNETLINK answers: Operation not permitted", 77, /NET_ADMIN/],
    [link, "Error: Unknown device type.", 69, /modprobe ip_vti/],
    [
      setting,
      'sysctl: setting key "x": Read-only file system',
      69,
      /--sysctl net\.ipv4\.conf\.default\.disable_policy=1/,
    ],
  ] as const) {
    const { exitCode, process } = await init(stage, {}, { change, words });
    assert.equal(exitCode, code, process.output());
    assert.match(
      process
        .stderr()
        .split("\n")
        .find((line) => line.startsWith("vnf-ipsec: hint:")) ?? "",
      hint,
    );
  }
});

test("an interface with another key is removed and made anew, and made as it was when that fails", async () => {
  await using stage = await openStage(scripts);
  const link = {
    mtu: 1480,
    flags: [],
    linkinfo: {
      info_kind: "vti",
      info_data: { local: "192.0.2.1", remote: "192.0.2.2", ikey: "0.0.0.7", okey: "0.0.0.7" },
    },
  };
  await stage.namespace.writeFile("/run/link", `${JSON.stringify([link])}\n`);
  const { exitCode, commands, process } = await init(stage);
  assert.equal(exitCode, 0, process.output());
  const removal = commands.indexOf("ip link delete dev vti42");
  assert.ok(removal >= 0, commands.join("\n"));
  const creation = "ip link add vti42 type vti local 192.0.2.1 remote 192.0.2.2 key 42";
  assert.equal(commands[removal + 1], creation);
  const failed = await init(stage, {}, { change: removal + 2, words: "RTNETLINK answers: File exists" });
  assert.equal(failed.exitCode, 69, failed.process.output());
  assert.deepEqual(failed.commands.slice(removal), [
    "ip link delete dev vti42",
    creation,
    "ip link add vti42 mtu 1480 type vti local 192.0.2.1 remote 192.0.2.2 key 7",
  ]);
});

test("without a virtual interface there is nothing to make: a warning names its variables, and the end is 0", async () => {
  await using stage = await openStage(scripts);
  const { exitCode, process } = await init(stage, {
    IPSEC_VTI_KEY: "",
    IPSEC_VTI_IPADDR_LOCAL: "",
    IPSEC_VTI_IPADDR_PEER: "",
    IPSEC_VTI_STATICROUTES: "",
  });
  assert.equal(exitCode, 0, process.output());
  const record = process.records().find(({ event }) => event === "initialised");
  assert.equal(record?.["level"], "warn");
  assert.deepEqual(record?.["variables"], ["IPSEC_VTI_KEY", "IPSEC_XFRM_IF_ID"]);
  assert.deepEqual(await stage.calls(), []);
});

test("init asks for no key, and does not look at one that it is given", async () => {
  await using stage = await openStage(scripts);
  for (const changes of [{}, { IPSEC_PSK: "0xnonsense" }]) {
    const { exitCode, process } = await init(stage, changes);
    assert.equal(exitCode, 0, process.output());
    assert.doesNotMatch(process.output(), /IPSEC_PSK/);
  }
});

test("without NET_ADMIN init ends in 77 and runs nothing; without NET_BIND_SERVICE it works", async () => {
  await using stage = await openStage(scripts);
  const without = (capability: string) =>
    init(stage, {}, undefined, [
      "/usr/bin/setpriv",
      `--bounding-set=-${capability}`,
      "--inh-caps=-all",
      "--",
    ]);
  const refused = await without("net_admin");
  assert.equal(refused.exitCode, 77);
  assert.deepEqual(errorsOf(refused.process.stderr()).length, 1);
  assert.match(refused.process.stderr(), /the capability NET_ADMIN is missing/);
  assert.deepEqual(await stage.calls(), []);
  assert.equal((await without("net_bind_service")).exitCode, 0);
});

test("a wrong environment is refused before anything is run", async () => {
  await using stage = await openStage(scripts);
  for (const changes of [
    { IPSEC_VTI_KEY: "0" },
    { IPSEC_MTU: "100" },
    { IPSEC_VTI_IPADDR_LOCAL: "" },
    { IPSEC_REMOTEIP: "vpn.example.com" },
  ] as readonly Readonly<Record<string, string>>[]) {
    const { exitCode, process } = await init(stage, changes);
    assert.equal(exitCode, 78, JSON.stringify(changes) + process.output());
  }
  assert.deepEqual(await stage.calls(), []);
});
