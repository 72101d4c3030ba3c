import process from "node:process";
import { writeFiles } from "../../src/host/write-files.ts";
import { writtenTexts } from "./written-texts.ts";

/** Writes the one text over the other, below the folder that it is given, until it is killed. */
const [, , root = ""] = process.argv;
process.stdout.write("writing\n");
for (let round = 0; ; round++) {
  const text = writtenTexts[round % 2] as string;
  writeFiles([{ path: "/etc/written.conf", mode: 0o600, text, ownedByDaemon: false }], { root });
}
