/** Connections taken over for attach and exec: raw bytes both ways, with half-close. */
import type { HttpResponse, Upgraded } from "#client/http.ts";
import { FrameDecoder } from "#client/stream.ts";
import type { StreamPiece } from "#client/stream.ts";

export interface Hijacked {
  /** Output as it comes; with a terminal everything is stdout. Ends when the peer does. */
  output(): AsyncIterable<StreamPiece>;
  write(bytes: Uint8Array): Promise<void>;
  /** Tells the process that its input has ended; output goes on. */
  closeWrite(): Promise<void>;
  close(): void;
}

export const isUpgraded = (answer: Upgraded | HttpResponse): answer is Upgraded =>
  "connection" in answer;

async function* outputOf(upgraded: Upgraded, isTty: boolean): AsyncGenerator<StreamPiece> {
  const decoder = new FrameDecoder();
  for (;;) {
    const chunk = await upgraded.reader.read();
    if (chunk === undefined) return;
    if (isTty) yield { stream: "stdout", bytes: chunk };
    else yield* decoder.decode(chunk);
  }
}

/** `isTty`: the container has a terminal, so its output is not framed. */
export const hijack = (upgraded: Upgraded, isTty: boolean): Hijacked => ({
  output: () => outputOf(upgraded, isTty),
  write: (bytes) => upgraded.connection.write(bytes),
  closeWrite: () => upgraded.connection.shutdown(),
  close: () => upgraded.connection.close(),
});
