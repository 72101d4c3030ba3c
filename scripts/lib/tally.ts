import { resolve } from "node:path";
import type { TestEvent } from "node:test/reporters";

/**
 * A reporter of node:test for `scripts/test`: writes `<passed> <failed>` when the run has ended, nothing when it never does.
 * What did not pass has failed: a skipped, cancelled or todo test shows nothing. So has a file without any test, which
 * node:test counts as a test of the file's name that passed.
 */
const tally = async function* (events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  let filesWithoutTest = 0;
  for await (const { type, data } of events) {
    if (type === "test:pass" && data.file !== undefined && resolve(data.name) === data.file) {
      filesWithoutTest += 1;
    }
    // Each file has a summary of its own; that of the whole run names no file.
    if (type === "test:summary" && data.file === undefined) {
      const { passed, tests } = data.counts;
      yield `${passed - filesWithoutTest} ${tests - passed + filesWithoutTest}\n`;
    }
  }
};

// biome-ignore lint/style/noDefaultExport: node:test takes a reporter's default export
export default tally;
