import { expect, test } from "bun:test";

import { createBodyDecoder } from "#spec/http/body-decoder.ts";
import { parseHead } from "#api/http/head.ts";
import { NaruError } from "#lib/errors.ts";

const statusOf = (text: string): unknown => {
  try {
    parseHead(text);
    return 200;
  } catch (error) {
    return error instanceof NaruError ? error.details["status"] : error;
  }
};

test("a plain request", () => {
  const head = parseHead(
    "GET /v1.51/containers/json?all=1&x=%20 HTTP/1.1\r\nHost: d\r\nAccept:  a \r\nAccept: b",
  );
  expect(head.method).toBe("GET");
  expect(head.path).toBe("/v1.51/containers/json");
  expect(head.queryText).toBe("all=1&x=%20");
  expect(head.fields.get("accept")).toBe("a, b");
  expect(head.isKeepAlive).toBe(true);
  expect(head.contentLength).toBe(0);
});

test("the absolute form loses its authority", () => {
  expect(parseHead("GET http://d/_ping HTTP/1.1\r\nHost: d").path).toBe("/_ping");
  expect(parseHead("GET http://d HTTP/1.1\r\nHost: d").path).toBe("/");
});

test("raw UTF-8 in the target is understood", () => {
  const bytes = Buffer.from("GET /images/ä/json HTTP/1.1\r\nHost: d");
  expect(parseHead(bytes.toString("latin1")).path).toBe("/images/ä/json");
});

test("keep-alive by version and field", () => {
  expect(parseHead("GET / HTTP/1.0").isKeepAlive).toBe(false);
  expect(parseHead("GET / HTTP/1.0\r\nConnection: Keep-Alive").isKeepAlive).toBe(true);
  expect(parseHead("GET / HTTP/1.1\r\nHost: d\r\nConnection: x, Close").isKeepAlive).toBe(false);
});

const REFUSED: readonly [string, number][] = [
  ["GET /  HTTP/1.1\r\nHost: d", 400],
  ["get / HTTP/1.1\r\nHost: d", 400],
  ["GET / HTTP/1.1", 400],
  ["GET / HTTP/1.1\r\nHost: a\r\nHost: b", 400],
  ["GET / HTTP/2.0\r\nHost: d", 505],
  ["PRI * HTTP/2.0", 505],
  ["GET * HTTP/1.1\r\nHost: d", 400],
  ["GET x HTTP/1.1\r\nHost: d", 400],
  ["GET / HTTP/1.1\r\nHost : d", 400],
  ["GET / HTTP/1.1\r\nHost: d\r\n folded: x", 400],
  ["GET / HTTP/1.1\r\nHost: d\nX: y", 400],
  ["GET / HTTP/1.1\r\nHost: d\rX: y", 400],
  ["GET / HTTP/1.1\r\nHost: d\r\nX: a\0b", 400],
  ["GET / HTTP/1.1\r\nHost: d\r\nno colon", 400],
  ["GET / HTTP/1.1\r\nHost: d\r\n: empty", 400],
  ["POST / HTTP/1.1\r\nHost: d\r\nContent-Length: -1", 400],
  ["POST / HTTP/1.1\r\nHost: d\r\nContent-Length: +1", 400],
  ["POST / HTTP/1.1\r\nHost: d\r\nContent-Length: 1, 1", 400],
  ["POST / HTTP/1.1\r\nHost: d\r\nContent-Length: 1\r\nContent-Length: 1", 400],
  ["POST / HTTP/1.1\r\nHost: d\r\nContent-Length: 1\r\nTransfer-Encoding: chunked", 400],
  ["POST / HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked, chunked", 501],
  ["POST / HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: gzip", 501],
  ["POST / HTTP/1.0\r\nTransfer-Encoding: chunked", 400],
  ["POST / HTTP/1.1\r\nHost: d\r\nExpect: magic", 417],
];
for (const [text, status] of REFUSED) {
  test(`refused: ${JSON.stringify(text)}`, () => expect(statusOf(text)).toBe(status));
}

const decode = (text: string, step: number): { body: string; left: string; isDone: boolean } => {
  const decoder = createBodyDecoder(undefined);
  const bytes = Buffer.from(text);
  let body = "";
  let left = "";
  for (let from = 0; from < bytes.length; from += step) {
    const part = bytes.subarray(from, from + step);
    const at = decoder.feed(part, 0, (piece) => void (body += piece.toString()));
    left += part.subarray(at).toString();
  }
  return { body, left, isDone: decoder.isDone };
};

for (const step of [1, 3, 1000]) {
  test(`a chunked body in steps of ${step}`, () => {
    const text = "5;ext=1\r\nhello\r\nA\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\nGET /";
    expect(decode(text, step)).toEqual({ body: "hello0123456789", left: "GET /", isDone: true });
  });
}

for (const text of [
  "x\r\n",
  "5\nhello\r\n",
  "5\r\nhelloX\r\n",
  "-1\r\n",
  "0x5\r\n",
  "99999999999999999\r\n",
  `${"1".repeat(5000)}`,
]) {
  test(`malformed chunks: ${JSON.stringify(text.slice(0, 20))}`, () => {
    expect(() => decode(text, 1000)).toThrow("malformed chunked body");
  });
}
