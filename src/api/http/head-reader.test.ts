import { expect, test } from "bun:test";

import { HeadReader } from "#api/http/head-reader.ts";

const read = (text: string) => {
  const found = new HeadReader(false).read(Buffer.from(text));
  return found && [found.head.path, found.head.fields.get("host"), found.rest.toString()];
};

test("lines may end with a line feed alone, as in requests written by hand", () => {
  expect(read("GET /_ping HTTP/1.0\n\n")).toEqual(["/_ping", undefined, ""]);
  expect(read("GET /a HTTP/1.1\nHost: d\n\nrest\r\n\r\n")).toEqual(["/a", "d", "rest\r\n\r\n"]);
  expect(read("GET /a HTTP/1.1\r\nHost: d\r\n\n")).toEqual(["/a", "d", ""]);
  expect(read("GET /a HTTP/1.1\nHost: d\n")).toBeUndefined();
  expect(read("GET /a HTTP/1.1\r\nHost: d\n\r\nrest\n\n")).toEqual(["/a", "d", "rest\n\n"]);
  expect(read("GET /a HTTP/1.1\nHost: d\n\r\n")).toEqual(["/a", "d", ""]);
  expect(read("GET /a HTTP/1.1\nHost: d\n\r")).toBeUndefined();
});

test("line feeds in a body end no head", () => {
  expect(read("POST /a HTTP/1.1\r\nHost: d\r\n\r\nx\n\ny")).toEqual(["/a", "d", "x\n\ny"]);
});
