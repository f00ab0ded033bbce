import { expect, test } from "bun:test";
import { closeSync, openSync, unlinkSync, writeFileSync } from "node:fs";
import { lentBody } from "#build/lent-body.ts";
import { randomHex } from "#lib/clock.ts";
import { hasCode } from "#lib/errors.ts";
import { createBodyDecoder } from "#spec/http/body-decoder.ts";

const kernel = { waitReadable: () => undefined };

/** A file stands for the connection: it is read in the same way. */
const readAll = (bytes: Uint8Array): { sizes: number[]; body: Buffer; rest: string } => {
  const path = `/tmp/naru-lent-body-${randomHex(6)}`;
  writeFileSync(path, bytes);
  const fd = openSync(path, "r");
  try {
    const pieces = lentBody(kernel, fd, createBodyDecoder(undefined).state);
    const parts: Buffer[] = [];
    for (let next = pieces.next(); ; next = pieces.next()) {
      if (next.done === true) {
        const sizes = parts.map((part) => part.length);
        return { sizes, body: Buffer.concat(parts), rest: Buffer.from(next.value).toString() };
      }
      parts.push(Buffer.from(next.value));
    }
  } finally {
    closeSync(fd);
    unlinkSync(path);
  }
};

const chunked = (body: Buffer, chunkBytes: number): Buffer => {
  const parts: Buffer[] = [];
  for (let at = 0; at < body.length; at += chunkBytes) {
    const part = body.subarray(at, at + chunkBytes);
    parts.push(Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from("\r\n"));
  }
  return Buffer.concat([...parts, Buffer.from("0\r\n\r\n")]);
};

const body = Buffer.alloc(1_700_000);
for (let at = 0; at + 4 <= body.length; at += 4) body.writeUInt32LE(at, at);

test("small chunks come as few pieces, and what is behind the body is given back", () => {
  const { sizes, ...read } = readAll(Buffer.concat([chunked(body, 3_000), Buffer.from("GET /")]));
  expect(read.body.equals(body)).toBe(true);
  expect(read.rest).toBe("GET /");
  expect(sizes.length).toBeLessThan(10);
});

test("an empty body, and one in one chunk", () => {
  expect(readAll(Buffer.from("0\r\n\r\n")).body.length).toBe(0);
  expect(readAll(chunked(body, body.length)).body.equals(body)).toBe(true);
});

test("a body that is cut short is told as a client that left", () => {
  let told: unknown;
  try {
    readAll(chunked(body, 3_000).subarray(0, 900_000));
  } catch (error) {
    told = error;
  }
  expect(hasCode(told, "canceled")).toBe(true);
});
