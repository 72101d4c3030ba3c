import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { Ajv2020 } from "ajv/dist/2020.js";
import formats from "ajv-formats";
import { type GatewayStatus, statusSchema } from "../../src/status/status-schema.ts";
import { repository } from "./repository.ts";

/** What the published schema of `status --json` says against a value; empty when it fits. */
export const violations = (value: unknown): readonly string[] =>
  validate(value)
    ? []
    : (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`);

const ajv = formats.default(new Ajv2020({ allErrors: true }));
const validate = ajv.compile(JSON.parse(readFileSync(`${repository}/docs/status.schema.json`, "utf8")));

/** It fits the published schema, which is open to fields that are still to come, and has none that are not in it. */
export const assertPublished = (status: GatewayStatus): void => {
  assert.deepEqual(violations(status), []);
  assert.deepEqual(statusSchema.parse(status), status);
};
