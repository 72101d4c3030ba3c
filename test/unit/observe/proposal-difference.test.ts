import assert from "node:assert/strict";
import { test } from "node:test";
import { differsInKeyExchangeOnly } from "../../../src/observe/proposal-difference.ts";

const cases: readonly [received: string, configured: string, differs: boolean][] = [
  [
    "ESP:AES_CBC_256/HMAC_SHA2_256_128/MODP_2048/NO_EXT_SEQ",
    "ESP:AES_CBC_256/HMAC_SHA2_256_128/MODP_3072/NO_EXT_SEQ",
    true,
  ],
  [
    "ESP:AES_CBC_256/HMAC_SHA2_256_128/NO_EXT_SEQ",
    "ESP:AES_CBC_256/HMAC_SHA2_256_128/MODP_3072/NO_EXT_SEQ",
    true,
  ],
  ["ESP:AES_GCM_16_128/CURVE_25519/NO_EXT_SEQ", "ESP:AES_GCM_16_128/NO_EXT_SEQ", true],
  ["ESP:AES_GCM_16_192/AES_GCM_16_128/ECP_256/NO_EXT_SEQ", "ESP:AES_GCM_16_128/ECP_384/NO_EXT_SEQ", true],
  [
    "ESP:AES_CBC_128/HMAC_SHA1_96/NO_EXT_SEQ, ESP:AES_GCM_16_128/ECP_256/NO_EXT_SEQ",
    "ESP:AES_GCM_16_128/MODP_4096/NO_EXT_SEQ",
    true,
  ],
  ["ESP:AES_GCM_16_128/ML_KEM_768/NO_EXT_SEQ", "ESP:AES_GCM_16_128/ECP_256/NO_EXT_SEQ", true],
  ["ESP:AES_GCM_16_128/ECP_256/NO_EXT_SEQ", "ESP:AES_GCM_16_256/ECP_384/NO_EXT_SEQ", false],
  [
    "ESP:AES_CBC_256/HMAC_SHA2_256_128/MODP_2048/NO_EXT_SEQ",
    "ESP:AES_CBC_256/HMAC_SHA2_512_256/MODP_3072/NO_EXT_SEQ",
    false,
  ],
  [
    "ESP:AES_CBC_256/HMAC_SHA2_256_128/MODP_2048/EXT_SEQ",
    "ESP:AES_CBC_256/HMAC_SHA2_256_128/MODP_3072/NO_EXT_SEQ",
    false,
  ],
  ["ESP:AES_CBC_256/HMAC_SHA2_256_128/NO_EXT_SEQ", "ESP:AES_GCM_16_128/NO_EXT_SEQ", false],
  ["ESP:AES_CBC_256/AES_XCBC_96/ECP_256/NO_EXT_SEQ", "ESP:AES_CBC_256/AES_CMAC_96/ECP_384/NO_EXT_SEQ", false],
  ["", "", false],
];

for (const [received, configured, differs] of cases)
  test(`${received || "nothing"} and ${configured || "nothing"} ${differs ? "differ in the group only" : "do not differ in the group only"}`, () => {
    assert.equal(differsInKeyExchangeOnly(received, configured), differs);
    assert.equal(differsInKeyExchangeOnly(configured, received), differs);
  });
