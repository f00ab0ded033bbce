import { expect, test } from "bun:test";
import { type BodyState, createBodyDecoder, resumeBodyDecoder } from "#spec/http/body-decoder.ts";

const CHUNKED = Buffer.from(
  "4;name=x\r\nnaru\r\n10\r\n0123456789abcdef\r\n0\r\nTrailer: t\r\n\r\nGET / HTTP/1.1\r\n",
);
const COUNTED = Buffer.from("naru0123456789abcdefGET / HTTP/1.1\r\n");

test("another decoder goes on wherever one stopped", () => {
  for (const [bytes, length] of [
    [CHUNKED, undefined],
    [COUNTED, 20],
  ] as const) {
    for (let cut = 0; cut < bytes.length; cut += 1) {
      let body = "";
      const sink = (part: Buffer): void => void (body += part.toString());
      const first = createBodyDecoder(length);
      const used = first.feed(bytes.subarray(0, cut), 0, sink);
      const state = JSON.parse(JSON.stringify(first.state)) as BodyState;
      const second = resumeBodyDecoder(state);
      const end = second.feed(bytes, used, sink);
      expect(body).toBe("naru0123456789abcdef");
      expect(second.isDone).toBe(true);
      expect(bytes.toString("utf8", end)).toBe("GET / HTTP/1.1\r\n");
    }
  }
});
