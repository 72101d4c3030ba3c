import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { type ConfigFile, marker } from "../../../src/backend/config-file.ts";
import { exitCodes, Failure } from "../../../src/failure.ts";
import { removeUnwanted, restoreFiles, writeFiles } from "../../../src/host/write-files.ts";
import { repository } from "../../support/repository.ts";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "vnf-ipsec-write-"));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const file = (path: string, text: string, rest: Partial<ConfigFile> = {}): ConfigFile => ({
  path,
  mode: 0o644,
  ownedByDaemon: false,
  text: `${marker}\n${text}`,
  ...rest,
});

const conf = (text = "conf") => file("/etc/ipsec.config.d/ipsec.site.conf", text);
const secrets = (text = "secret") =>
  file("/etc/ipsec.secrets.d/ipsec.site.secrets", text, { mode: 0o600, ownedByDaemon: true });

const read = (path: string): string | undefined =>
  existsSync(join(root, path)) ? readFileSync(join(root, path), "utf8") : undefined;
const allFiles = (): readonly string[] =>
  readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length))
    .toSorted();

test("files are written with their directories, modes and owner, and nothing else is left", () => {
  const owner = { uid: 1234, gid: 1235 };
  writeFiles([conf(), secrets()], { root, owner });
  assert.deepEqual(allFiles(), [conf().path, secrets().path]);
  assert.equal(read(conf().path), conf().text);
  assert.equal(statSync(join(root, conf().path)).mode & 0o777, 0o644);
  const { mode, uid, gid } = statSync(join(root, secrets().path));
  assert.deepEqual([mode & 0o777, uid, gid], [0o600, 1234, 1235]);
  assert.equal(statSync(join(root, conf().path)).uid, 0, "only what the daemon reads again is its own");
});

test("a file that is there is replaced by another, so that who has it open reads the old one whole", () => {
  writeFiles([conf("old")], { root });
  const before = statSync(join(root, conf().path)).ino;
  writeFiles([conf("new")], { root });
  assert.notEqual(statSync(join(root, conf().path)).ino, before);
  assert.equal(read(conf().path), conf("new").text);
});

test("a file that is there as it should be is not touched, and goes with the others at the end", () => {
  writeFiles([conf(), secrets()], { root });
  const inode = (one: ConfigFile) => statSync(join(root, one.path)).ino;
  const before = [inode(conf()), inode(secrets())];
  const { originals } = writeFiles([conf(), secrets("new")], { root });
  assert.equal(inode(conf()), before[0]);
  assert.notEqual(inode(secrets()), before[1]);
  // With another mode or owner it is not as it should be.
  writeFiles([{ ...conf(), mode: 0o600 }, secrets("new")], { root, owner: { uid: 1234, gid: 1235 } });
  assert.equal(statSync(join(root, conf().path)).mode & 0o777, 0o600);
  assert.equal(statSync(join(root, secrets().path)).uid, 1234);
  restoreFiles(originals, {});
  assert.deepEqual(allFiles(), []);
});

test("restoring removes our files and puts those of others back", () => {
  mkdirSync(join(root, "etc/ipsec.config.d"), { recursive: true });
  writeFileSync(join(root, conf().path), "somebody's own\n");
  const written = writeFiles([conf(), secrets()], { root });
  assert.equal(read(conf().path), conf().text);
  restoreFiles(written.originals, {});
  assert.deepEqual(allFiles(), [conf().path]);
  assert.equal(read(conf().path), "somebody's own\n");
  restoreFiles(written.originals, {});
  assert.equal(read(conf().path), "somebody's own\n");
});

test("what a killed predecessor of ours left is not put back", () => {
  writeFiles([conf("old")], { root });
  restoreFiles(writeFiles([conf("new")], { root }).originals, {});
  assert.deepEqual(allFiles(), []);
});

test("the temporary file of a killed writer is in nobody's way, and goes", () => {
  mkdirSync(join(root, "etc/ipsec.config.d"), { recursive: true });
  writeFileSync(join(root, "etc/ipsec.config.d/.ipsec.site.conf.vnf-ipsec"), "half");
  writeFiles([conf()], { root });
  assert.deepEqual(allFiles(), [conf().path]);
});

test("when one file cannot be put in its place, those before it are again what they were, ours or not", () => {
  writeFiles([conf("old")], { root });
  mkdirSync(join(root, secrets().path), { recursive: true });
  assert.throws(
    () => writeFiles([conf("new"), secrets()], { root }),
    (error: unknown) => {
      assert.ok(error instanceof Failure);
      assert.equal(error.exitCode, exitCodes.inputOutput);
      assert.match(
        error.message,
        /^\/etc\/ipsec\.secrets\.d\/ipsec\.site\.secrets cannot be written: EISDIR$/,
      );
      assert.match(error.problems[0]?.hint ?? "", /directory of that name/);
      return true;
    },
  );
  assert.equal(read(conf().path), conf("old").text);
  assert.deepEqual(allFiles(), [conf().path]);
});

test("only files of ours that are no longer wanted are removed", () => {
  const gone = file("/etc/ipsec.config.d/ipsec.gone.conf", "gone");
  writeFiles([conf(), gone], { root });
  writeFileSync(join(root, "etc/ipsec.config.d/ipsec.theirs.conf"), "conn theirs\n");
  mkdirSync(join(root, "etc/ipsec.config.d/ipsec.directory.conf"));
  assert.deepEqual(removeUnwanted(["/etc/ipsec.config.d", "/etc/nonexistent"], [conf()], { root }), [
    join(root, gone.path),
  ]);
  assert.deepEqual(allFiles(), [conf().path, "/etc/ipsec.config.d/ipsec.theirs.conf"]);
});

/** Runs `body` of a module with `root`, `files` and `writeFiles` in a mount namespace prepared by `commands`. */
const onMounts = (commands: string, files: readonly ConfigFile[]): { code?: number; message?: string } => {
  const module = `
    import { writeFiles } from ${JSON.stringify(`${repository}/src/host/write-files.ts`)};
    try {
      writeFiles(${JSON.stringify(files)}, { root: ${JSON.stringify(root)} });
      console.log("{}");
    } catch ({ exitCode: code, message }) {
      console.log(JSON.stringify({ code, message }));
    }`;
  writeFileSync(join(root, "module.mjs"), module);
  const script = `${commands}; exec "$1" "$2/module.mjs"`;
  // What the file system held at the end is copied out of the namespace, with which it vanishes.
  const shell = `mount --make-rprivate /; cd "$2"; (${script}); mkdir -p "$2/after"; cp -a "$2/etc/." "$2/after/"`;
  return JSON.parse(
    execFileSync("unshare", ["--mount", "bash", "-ec", shell, "bash", process.execPath, root], {
      encoding: "utf8",
    }),
  );
};

const after = (path: string): string | undefined => read(path.replace(/^\/etc\//, "/after/"));

test("a full disk ends in 74 and keeps every old file whole", () => {
  writeFiles([conf("old"), secrets("old")], { root });
  // Three pages: room for the old files, and for a part of the new one.
  const full = "cp -a etc etc.old; mount -t tmpfs -o size=16k,mode=755 tmpfs etc; cp -a etc.old/. etc/";
  const { code, message } = onMounts(full, [conf("new"), secrets("x".repeat(30_000))]);
  assert.equal(code, exitCodes.inputOutput);
  assert.equal(message, "/etc/ipsec.secrets.d/ipsec.site.secrets cannot be written: ENOSPC");
  assert.equal(after(conf().path), conf("old").text);
  assert.equal(after(secrets().path), secrets("old").text);
  assert.deepEqual(readdirSync(join(root, "after/ipsec.secrets.d")), ["ipsec.site.secrets"]);
});

test("a read-only file system ends in 74", () => {
  mkdirSync(join(root, "etc"));
  const { code, message } = onMounts("mount -t tmpfs -o ro tmpfs etc", [conf()]);
  assert.equal(code, exitCodes.inputOutput);
  assert.match(message ?? "", /cannot be written: EROFS$/);
});

test("a file that is mounted by itself ends in 74, and the other files stay as they were", () => {
  writeFiles([conf("old"), secrets("old")], { root });
  const { code, message } = onMounts(
    `touch mounted; mount --bind mounted etc/ipsec.secrets.d/ipsec.site.secrets`,
    [conf("new"), secrets("new")],
  );
  assert.equal(code, exitCodes.inputOutput);
  assert.equal(message, "/etc/ipsec.secrets.d/ipsec.site.secrets cannot be written: EBUSY");
  assert.equal(after(conf().path), conf("old").text);
});

test("who may not write is told so, with 77", () => {
  mkdirSync(join(root, "etc"));
  chownSync(join(root, "etc"), 65_534, 65_534);
  // The user stays root, who can read the sources wherever they are, and loses what lets root write everywhere.
  const script = 'exec setpriv --bounding-set=-all --inh-caps=-all -- "$1" "$2/module.mjs"';
  const { code, message } = onMounts(script, [conf()]);
  assert.equal(code, exitCodes.permission);
  assert.match(message ?? "", /cannot be written: EACCES$/);
});
