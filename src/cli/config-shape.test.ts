import { expect, test } from "bun:test";
import { shapeConfig } from "#cli/config-shape.ts";

const CASES: readonly (readonly [unknown, unknown, readonly string[]])[] = [
  [{}, {}, []],
  [undefined, {}, ["it is not a JSON object"]],
  [[], {}, ["it is not a JSON object"]],
  [{ auths: 1, psFormat: "x" }, { psFormat: "x" }, ["auths is not an object"]],
  [{ auths: null, credsStore: 5 }, {}, ["credsStore is no text"]],
  [{ HttpHeaders: { a: 1 } }, {}, ["HttpHeaders is not an object of texts"]],
  [
    { auths: { a: { auth: "YTpi" }, b: { auth: "YWJj" }, c: { auth: "!!" }, d: {}, e: 1 } },
    { auths: { a: { auth: "YTpi" }, d: {} } },
    [
      'auths["b"] has an "auth" that is not base64 of name:password',
      'auths["c"] has an "auth" that is not base64 of name:password',
      'auths["e"] is not an object',
    ],
  ],
  [
    { auths: { a: { identitytoken: 3 } }, unknown: { x: 1 } },
    { auths: {}, unknown: { x: 1 } },
    ['auths["a"] has "identitytoken", which is no text'],
  ],
];

test("what has another shape is left out and told; the rest counts, and unknown fields stay", () => {
  for (const [value, config, faults] of CASES) {
    expect(shapeConfig(value) as unknown).toEqual({ config, faults });
  }
});
