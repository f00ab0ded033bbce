/** Sends a stream of bytes as an answer's body, at the client's pace. */
import type { AnswerStream } from "#api/http/exchange.ts";

/** When the client leaves, the source is canceled and canceled is thrown. */
export const pumpStream = async (
  out: AnswerStream,
  source: AsyncIterable<Uint8Array>,
): Promise<void> => {
  for await (const bytes of source) await out.write(bytes);
  out.end();
};
