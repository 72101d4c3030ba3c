import assert from "node:assert/strict";
import { test } from "node:test";
import { inspect } from "node:util";
import { secret } from "../../src/secret.ts";

test("a secret gives its bytes only when it is asked to reveal them", () => {
  const hidden = secret(Buffer.from("canary"));
  assert.equal(Buffer.from(hidden.reveal()).toString(), "canary");
  const shown = [
    `${hidden}`,
    String(hidden),
    JSON.stringify({ hidden }),
    inspect(hidden, { depth: 9, showHidden: true }),
    inspect({ nested: [hidden] }, { depth: 9 }),
    Object.values(hidden).join(),
  ];
  for (const text of shown) assert.doesNotMatch(text, /canary|63, ?61|99, ?97/, text);
  assert.equal(shown[0], "***");
  assert.equal(shown[2], '{"hidden":"***"}');
});
