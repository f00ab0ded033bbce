import { expect, test } from "bun:test";
import { jsonLines, progressMessages } from "#client/progress.ts";
import { FrameDecoder } from "#client/stream.ts";

const frame = (stream: number, text: string): Buffer => {
  const head = Buffer.alloc(8);
  head.writeUInt8(stream, 0);
  head.writeUInt32BE(Buffer.byteLength(text), 4);
  return Buffer.concat([head, Buffer.from(text)]);
};

test("frames survive any cut", () => {
  const whole = Buffer.concat([frame(1, "out"), frame(2, "error"), frame(1, ""), frame(1, "end")]);
  for (let size = 1; size <= whole.length; size += 1) {
    const decoder = new FrameDecoder();
    const text = { stdout: "", stderr: "", stdin: "", systemerr: "" };
    for (let at = 0; at < whole.length; at += size) {
      for (const piece of decoder.decode(whole.subarray(at, at + size))) {
        text[piece.stream] += Buffer.from(piece.bytes).toString();
      }
    }
    expect(text).toMatchObject({ stdout: "outend", stderr: "error" });
  }
});

test("what is no frame is refused", () => {
  expect(() => new FrameDecoder().decode(Buffer.from("plain text!"))).toThrow(
    "unrecognized stream",
  );
});

async function* chunks(...texts: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield Buffer.from(text);
}

test("JSON lines in any pieces", async () => {
  const values: unknown[] = [];
  for await (const value of jsonLines(chunks('{"a"', ':1}\r\n\n{"b":2}', '\n{"c":3}')))
    values.push(value);
  expect(values).toEqual([{ a: 1 }, { b: 2 }, { c: 3 }]);
});

test("progress throws the error it carries", async () => {
  const seen: unknown[] = [];
  const read = async (): Promise<void> => {
    const lines =
      '{"status":"Pulling"}\n{"error":"old","errorDetail":{"message":"no such image"}}\n';
    for await (const message of progressMessages(chunks(lines))) seen.push(message.status);
  };
  expect(read()).rejects.toThrow("no such image");
  await read().catch(() => undefined);
  expect(seen).toContain("Pulling");
});
