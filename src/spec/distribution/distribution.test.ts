import { expect, test } from "bun:test";
import {
  parseFault,
  parseNextLink,
  parseRetryAfter,
  parseTokenAnswer,
  rateLimitText,
  uploadedBytes,
} from "#spec/distribution/answers.ts";
import { parseChallenges } from "#spec/distribution/challenge.ts";

const CHALLENGES: [header: string, expected: unknown][] = [
  [
    'Bearer realm="https://auth.x/token",service="reg",scope="repository:a/b:pull,push"',
    [
      {
        scheme: "bearer",
        parameters: {
          realm: "https://auth.x/token",
          service: "reg",
          scope: "repository:a/b:pull,push",
        },
      },
    ],
  ],
  ['Basic realm="a \\"b\\""', [{ scheme: "basic", parameters: { realm: 'a "b"' } }]],
  [
    'Negotiate, Basic realm=x , Bearer realm="y", error="invalid_token"',
    [
      { scheme: "negotiate", parameters: {} },
      { scheme: "basic", parameters: { realm: "x" } },
      { scheme: "bearer", parameters: { realm: "y", error: "invalid_token" } },
    ],
  ],
  ["", []],
  ['realm="x"', [{ scheme: "realm", parameters: {} }]],
];
for (const [header, expected] of CHALLENGES) {
  test(`challenge ${header}`, () => {
    expect(parseChallenges(header)).toEqual(expected as never);
  });
}

test("errors: the spec's document, a token server's, none", () => {
  expect(parseFault('{"errors":[{"code":"denied","message":"no"}]}')).toEqual({
    code: "DENIED",
    message: "no",
  });
  expect(parseFault('{"message":"slow down"}')).toEqual({ code: "", message: "slow down" });
  expect(parseFault('{"message":"a\\u001b[31m red\\nword"}')?.message).toBe("a [31m red word");
  expect(parseFault("<html>")).toBeUndefined();
  expect(parseFault('{"errors":[]}')).toEqual({ code: "", message: "" });
});

test("tokens: both names, a minute at least, none is an error", () => {
  expect(parseTokenAnswer('{"access_token":"a","expires_in":5,"refresh_token":"r"}', "x")).toEqual({
    token: "a",
    expiresInSeconds: 60,
    refreshToken: "r",
  });
  expect(parseTokenAnswer('{"token":"t","expires_in":300}', "x").expiresInSeconds).toBe(300);
  expect(() => parseTokenAnswer("{}", "x")).toThrow("did not include a token");
});

test("headers", () => {
  expect(parseRetryAfter("3", 0)).toBe(3000);
  expect(parseRetryAfter("Thu, 01 Jan 1970 00:00:10 GMT", 4000)).toBe(6000);
  expect(parseRetryAfter("soon", 0)).toBeUndefined();
  expect(parseNextLink('</v2/a/tags/list?last=b&n=1>; rel="next"')).toBe(
    "/v2/a/tags/list?last=b&n=1",
  );
  expect(parseNextLink(null)).toBeUndefined();
  expect(rateLimitText("100;w=21600", "97;w=21600")).toBe("97 of 100 pulls left in 6 h");
  expect(rateLimitText(null, null)).toBeUndefined();
  expect(["0-499", "bytes=0-9", "0-0", "", null].map(uploadedBytes)).toEqual([500, 10, 0, 0, 0]);
});
