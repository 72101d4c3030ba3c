import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import fc from "fast-check";
import type { ConfigFile } from "../../src/backend/config-file.ts";
import { stroke } from "../../src/backend/stroke/backend.ts";
import { loadSettings } from "../../src/commands/load-settings.ts";
import { Failure } from "../../src/failure.ts";
import { buildGateway } from "../../src/gateway/from-settings.ts";
import type { ChildSa, Connection } from "../../src/gateway/gateway.ts";
import { readName } from "../../src/ipsec/distinguished-name.ts";
import { loadTemplates } from "../../src/load-templates.ts";
import { hostileConnectionsFile } from "../support/hostile-connections-file.ts";
import {
  asCommand,
  type HostileCase,
  hostileEnvironment,
  hostileSeed,
  materialize,
} from "../support/hostile-environment.ts";
import { attempts } from "../support/scale.ts";
import { parseListing, type Section } from "../support/swanctl-listing.ts";

/** A valid environment of the hostile ones, under a name of its own. */
type Valid = {
  readonly hostile: HostileCase;
  readonly connection: Connection;
  readonly files: readonly ConfigFile[];
};

const seed = hostileSeed();
const templates = loadTemplates();
const directory = await mkdtemp(join(tmpdir(), "vnf-ipsec-reads-back-"));
const cases = await validOnes(attempts({ usual: 300, full: 2_000 }));

const strongswanConf = `charon {
  load = random nonce aes sha1 sha2 hmac kdf gcm openssl kernel-netlink socket-default vici stroke
  plugins {
    stroke {
      secrets_file = ${directory}/ipsec.secrets
      allow_swap = no
    }
  }
  filelog {
    log {
      path = ${directory}/charon.log
      default = 0
      cfg = 4
      flush_line = yes
    }
  }
}
`;

const script = `
cd "$1"
mount --make-rprivate /
mount -t tmpfs tmpfs /run
ip link set lo up
export STRONGSWAN_CONF="$1/strongswan.conf"
/usr/lib/ipsec/starter --daemon charon --nofork --conf "$1/ipsec.conf" >starter.log 2>&1 &
starter=$!
until grep -q "added configuration 'the-last'\\|added child to existing configuration 'the-last'" charon.log 2>/dev/null; do
  (( SECONDS < 240 )) && kill -0 $starter || { cat starter.log >&2; exit 1; }
  read -rt 0.1 <> <(:) || :
done
swanctl --list-conns --pretty
kill -TERM $starter
wait $starter
`;

let listed: Readonly<Record<string, Section>>;
let charonLog: string;

before(async () => {
  const texts = (suffix: string) =>
    cases
      .flatMap(({ files }) => files)
      .filter(({ path }) => path.endsWith(suffix))
      .map(({ text }) => text)
      .join("\n");
  await Promise.all([
    writeFile(join(directory, "strongswan.conf"), strongswanConf),
    // The last connection tells that everything before it has been loaded.
    writeFile(
      join(directory, "ipsec.conf"),
      `${texts(".conf")}\nconn the-last\n\tright=192.0.2.254\n\tauto=add\n`,
    ),
    writeFile(join(directory, "ipsec.secrets"), texts(".secrets")),
  ]);
  const namespaces = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"];
  const { stdout } = await promisify(execFile)(
    "unshare",
    [...namespaces, "bash", "-ec", script, "bash", directory],
    {
      timeout: 300_000,
      maxBuffer: 1 << 30,
    },
  );
  charonLog = await readFile(join(directory, "charon.log"), "utf8");
  listed = Object.fromEntries(
    parseListing(stdout).flatMap((message) => Object.entries(message) as [string, Section][]),
  );
});

after(() => rm(directory, { recursive: true, force: true }));

test("strongSwan has exactly the connections of our model, and no other", () => {
  // stroke keeps conns with the same peer together, as CHILD SAs of the first.
  const children = Object.values(listed).flatMap((connection) => Object.keys(connection["children"] ?? {}));
  const expected = cases.flatMap(({ connection }) => connection.children.map((child) => child.name));
  assert.deepEqual(children.toSorted(), [...expected, "the-last"].toSorted());
});

test("each connection has the ends, identities, networks and lifetimes of our model", () => {
  for (const { hostile, connection } of cases) {
    const context = `seed ${seed}\n${asCommand(hostile)}`;
    const named = connection.children.map((child) => [child, connectionWith(child.name)] as const);
    for (const [child, read] of named) {
      assert.deepEqual(peerOf(read), modelOfPeer(connection), context);
      assert.deepEqual(childOf(read, child.name), modelOfChild(child, connection), context);
    }
  }
});

test("each key is loaded once, for exactly its owners, and there is no other", () => {
  const loaded = [...charonLog.matchAll(/ {2}loaded IKE secret for (.*)$/gm)].map((match) => match[1]);
  const expected = cases.map(ownersOf);
  assert.equal(loaded.length, expected.length);
  for (const [index, owners] of expected.entries()) {
    assert.equal(
      loaded[index]?.trim(),
      owners,
      `seed ${seed}\n${asCommand((cases[index] as Valid).hostile)}`,
    );
  }
  // Level 4 of the configuration's log prints keys, in the order of the lines.
  const keys = [...charonLog.matchAll(/\[CFG\] {3}secret: ([0-9a-f:]*)$/gm)].map((match) =>
    Buffer.from((match[1] ?? "").replaceAll(":", ""), "hex"),
  );
  assert.equal(keys.length, cases.length);
  for (const [index, { connection, hostile }] of cases.entries()) {
    const { authentication } = connection;
    assert.ok(authentication.method === "psk");
    assert.deepEqual(
      keys[index],
      Buffer.from(authentication.psk.reveal()),
      `seed ${seed}\n${asCommand(hostile)}`,
    );
  }
});

test("strongSwan has nothing to say against any of it", () => {
  const complaints = charonLog
    .split("\n")
    .filter((line) =>
      /\[CFG\].*(?:invalid|skipped|malformed|failed|not recognized|error|unknown|bad )/i.test(line),
    );
  assert.deepEqual(complaints, []);
});

async function validOnes(count: number): Promise<readonly Valid[]> {
  const found: Valid[] = [];
  for (let round = 0; found.length < count && round < 40; round++) {
    const arbitrary = round % 2 === 0 ? hostileEnvironment() : hostileConnectionsFile();
    for (const hostile of fc.sample(arbitrary, { seed: seed + round, numRuns: count })) {
      for (const connection of await connectionsOf(hostile)) {
        if (found.length < count) found.push(renamed(hostile, connection, `n${found.length}`));
      }
    }
  }
  assert.equal(found.length, count, `only ${found.length} environments are valid`);
  return found;
}

/** None for an environment that is refused. */
async function connectionsOf(hostile: HostileCase): Promise<readonly Connection[]> {
  try {
    const { settings } = await loadSettings(materialize(hostile, directory), "gateway");
    return buildGateway(settings).connections;
  } catch (error) {
    if (error instanceof Failure) return [];
    throw error;
  }
}

function renamed(hostile: HostileCase, original: Connection, name: string): Valid {
  const children = original.children.map((child, index) => ({
    ...child,
    name: original.children.length === 1 ? name : `${name}_${index + 1}`,
  }));
  const connection = { ...original, name, children };
  const files = stroke.connectionFiles(connection, {
    templates,
    showSecrets: true,
  });
  // Nothing is to be initiated, or trapped, for the sake of what is read.
  const quiet = files.map((file) => ({ ...file, text: file.text.replace(/^\tauto=\w+$/gm, "\tauto=add") }));
  return { hostile, connection, files: quiet };
}

function connectionWith(child: string): Section {
  const found = Object.values(listed).find(
    (connection) => child in ((connection["children"] ?? {}) as Section),
  );
  return found ?? assert.fail(`${child} is not loaded`);
}

function peerOf(read: Section): object {
  const of = (name: string): unknown => {
    const [, end = {}] = Object.entries(read).find(([key]) => key.startsWith(name)) ?? [];
    return (end as Section)["id"];
  };
  return {
    version: read["version"],
    local: read["local_addrs"],
    remote: [caseless((read["remote_addrs"] as readonly string[])[0])],
    localId: caseless(of("local-")),
    remoteId: caseless(of("remote-")),
    lifetime: Number(read["reauth_time"] ?? 0) + Number(read["rekey_time"] ?? 0),
  };
}

function modelOfPeer(connection: Connection): object {
  const address = ({ endpoint }: Connection["local"]): string =>
    endpoint.kind === "any" ? "%any" : endpoint.kind === "name" ? endpoint.name : endpoint.address.text;
  return {
    version: { ikev1: "IKEv1", ikev2: "IKEv2", any: "IKEv1/2" }[connection.version],
    local: [address(connection.local)],
    remote: [caseless(address(connection.remote))],
    localId: caseless(printed(connection.local.identity)),
    remoteId: caseless(printed(connection.remote.identity)),
    lifetime: connection.lifetimeSeconds - connection.rekeyMarginSeconds,
  };
}

function childOf(read: Section, name: string): object {
  const child = (read["children"] as Section)[name] as Section;
  return {
    mode: child["mode"],
    rekey: Number(child["rekey_time"]),
    local: sorted(child["local-ts"]),
    remote: sorted(child["remote-ts"]),
  };
}

function modelOfChild(child: ChildSa, connection: Connection): object {
  return {
    mode: "TUNNEL",
    rekey: child.lifetimeSeconds - connection.rekeyMarginSeconds,
    local: sorted(child.localNetworks.map((network) => network.text)),
    remote: sorted(child.remoteNetworks.map((network) => network.text)),
  };
}

function sorted(list: unknown): readonly string[] {
  return [...((list ?? []) as readonly string[])].toSorted();
}

/** charon keeps peers together whose identities differ only so, and shows what the first of them says. */
function caseless(text: unknown): string {
  return String(text).toLowerCase();
}

/** As charon prints an identity (identification_printf_hook in libstrongswan/utils/identification.c). */
function printed(identity: Connection["local"]["identity"]): string | undefined {
  if (identity.kind === "any") return undefined;
  if (identity.kind === "keyid" && identity.encoding === "hex") {
    const bytes = Buffer.from(identity.text, "hex");
    return /^[\x20-\x7e]*$/.test(bytes.toString("latin1"))
      ? bytes.toString("latin1")
      : (identity.text.match(/../g) ?? []).join(":");
  }
  const attributes = identity.kind === "dn" ? readName(identity.text) : [];
  if ("fault" in attributes) assert.fail(attributes.fault);
  return identity.kind === "dn"
    ? attributes.map(({ type, value }) => `${type}=${inAscii(value)}`).join(", ")
    : identity.text;
}

/** chunk_printable() of libstrongswan/utils/chunk.c, as dntoa() asks for it. */
function inAscii(value: string): string {
  return Buffer.from(value)
    .toString("latin1")
    .replace(/[^\x20-\x7e]/g, "?");
}

/** As charon repeats them: quoted, one blank between. */
function ownersOf({ files }: Valid): string | undefined {
  const secrets = files.find(({ path }) => path.endsWith(".secrets"));
  return / *(".*") : PSK /.exec(secrets?.text ?? "")?.[1];
}
