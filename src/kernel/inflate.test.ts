import { describe, expect, test } from "bun:test";
import { inflateKernel } from "#kernel/inflate.ts";

/** Repeats itself here and not there; longer than the output buffer. */
const PLAIN = Buffer.concat(
  Array.from({ length: 40 }, (_, at) =>
    Buffer.concat([
      Buffer.alloc(30_000, at),
      Buffer.from(Array.from({ length: 5_000 }, (_unused, i) => (i * i * (at + 7)) % 251)),
    ]),
  ),
);
const MEMBER = Bun.gzipSync(new Uint8Array(PLAIN));

const inflated = (stream: Uint8Array, step: number): Buffer => {
  const inflater = inflateKernel.createInflater()!;
  const parts: Buffer[] = [];
  const take = (plain: Uint8Array): void => void parts.push(Buffer.from(plain));
  for (let at = 0; at < stream.length; at += step) {
    inflater.push(stream.subarray(at, at + step), take);
  }
  inflater.end();
  return Buffer.concat(parts);
};

// The library comes with igzip; hosts without it take other ways.
describe.skipIf(inflateKernel.createInflater() === undefined)("libisal's inflate", () => {
  test("gives the same bytes, however they come", () => {
    for (const step of [1, 7, 1000, 65_536, MEMBER.length]) {
      expect(inflated(MEMBER, step).equals(PLAIN)).toBe(true);
    }
  });

  test("reads members that follow each other as one stream, wherever they are cut", () => {
    const small = Bun.gzipSync(Buffer.from("and more"));
    const empty = Bun.gzipSync(new Uint8Array());
    const stream = Buffer.concat([small, empty, MEMBER, small]);
    const whole = Buffer.concat([Buffer.from("and more"), PLAIN, Buffer.from("and more")]);
    for (const step of [1, 17, small.length, 4096, stream.length]) {
      expect(inflated(stream, step).equals(whole)).toBe(true);
    }
  });

  test("a header may have a name, a comment and more, wherever it is cut", () => {
    const named = Buffer.concat([
      Buffer.from([0x1f, 0x8b, 8, 0x08, 0, 0, 0, 0, 0, 3]),
      Buffer.from("layer.tar\0"),
      MEMBER.subarray(10),
    ]);
    const full = Buffer.concat([
      Buffer.from([0x1f, 0x8b, 8, 0x1c, 0, 0, 0, 0, 0, 3, 3, 0, 0, 1, 0]),
      Buffer.from("layer.tar\0a comment\0"),
      MEMBER.subarray(10),
    ]);
    for (const stream of [named, full, Buffer.concat([full, named])]) {
      const whole = stream.length > named.length * 1.5 ? Buffer.concat([PLAIN, PLAIN]) : PLAIN;
      for (const step of [1, 13, 4096]) expect(inflated(stream, step).equals(whole)).toBe(true);
    }
    expect(() => inflated(named.subarray(0, 15), 1)).toThrow("cut short");
  });

  test("what follows and is no member is passed over", () => {
    const padded = Buffer.concat([MEMBER, Buffer.alloc(1000)]);
    for (const step of [1, 999, padded.length]) {
      expect(inflated(padded, step).equals(PLAIN)).toBe(true);
    }
  });

  test("refuses what is damaged, cut short, or something else", () => {
    const wrongSum = Buffer.from(MEMBER);
    wrongSum.writeUInt32LE(0, wrongSum.length - 8);
    const flipped = Buffer.from(MEMBER);
    flipped.fill(0xff, 2000, 2600);
    for (const stream of [
      wrongSum,
      flipped,
      MEMBER.subarray(0, MEMBER.length - 1),
      MEMBER.subarray(0, MEMBER.length >> 1),
      MEMBER.subarray(0, 5),
      new Uint8Array(),
      Buffer.from("plain text"),
    ]) {
      for (const step of [64, 1_000_000]) {
        expect(() => inflated(stream, step)).toThrow("the gzip data is damaged");
      }
    }
  });
});
