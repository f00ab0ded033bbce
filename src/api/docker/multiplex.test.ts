import { expect, test } from "bun:test";
import { multiplexFrame } from "#api/docker/multiplex.ts";

const HEAD_OF_5 = [2, 0, 0, 0, 0, 0, 0, 5];

test("a frame is a head and its payload, wherever it is made", () => {
  const payload = Buffer.from("hello");
  const wanted = Buffer.concat([Buffer.from(HEAD_OF_5), payload]);
  expect(Buffer.compare(multiplexFrame(2, payload), wanted)).toBe(0);
  const memory = Buffer.from("________hello_");
  const inPlace = multiplexFrame(2, memory.subarray(8, 13), 8);
  expect(Buffer.compare(inPlace, wanted)).toBe(0);
  expect(Buffer.compare(memory.subarray(0, 13), wanted)).toBe(0);
  expect(memory[13]).toBe("_".charCodeAt(0));
});

test("too little room is left alone", () => {
  const memory = Buffer.from("____hello");
  expect(multiplexFrame(1, memory.subarray(4), 4).length).toBe(13);
  expect(memory.toString()).toBe("____hello");
});
