import { expect, test } from "bun:test";
import { joinPackets } from "#runtime/attach.ts";

const packet = (mark: number, text: string): Uint8Array =>
  Buffer.concat([Buffer.from([mark]), Buffer.from(text)]);

const joined = (...packets: Uint8Array[]): [number, string][] =>
  [...joinPackets(packets)].map(({ stream, bytes }) => [stream, Buffer.from(bytes).toString()]);

test("what came together of one stream is one piece; the order of the two streams stays", () => {
  expect(joined(packet(2, "a"))).toEqual([[1, "a"]]);
  expect(joined(packet(2, "a"), packet(2, "b"), packet(3, "c"), packet(2, "d"))).toEqual([
    [1, "ab"],
    [2, "c"],
    [1, "d"],
  ]);
  expect(joined()).toEqual([]);
  expect(joined(packet(2, ""), packet(3, "x"), packet(3, ""))).toEqual([[2, "x"]]);
});

test("joined output leaves room for a frame's head, and framing there changes no byte of it", () => {
  const [piece] = joinPackets([packet(2, "ab"), packet(2, "cd")]);
  expect(piece?.roomBytes).toBe(8);
  const bytes = piece?.bytes ?? new Uint8Array();
  new Uint8Array(bytes.buffer, bytes.byteOffset - 8, 8).fill(0xff);
  expect(Buffer.from(bytes).toString()).toBe("abcd");
});

test("a piece has a limit, and no byte is lost at it", () => {
  const body = "0123456789abcdef".repeat(512);
  const packets = Array.from({ length: 100 }, () => packet(2, body));
  const pieces = [...joinPackets(packets)];
  expect(pieces.length).toBeGreaterThan(2);
  expect(Math.max(...pieces.map(({ bytes }) => bytes.length))).toBeLessThanOrEqual(256 * 1024);
  expect(Buffer.concat(pieces.map(({ bytes }) => bytes)).toString()).toBe(body.repeat(100));
});
