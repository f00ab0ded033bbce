/** A connection that left HTTP/1.1, in the form that node:http2 takes. */
import { Duplex } from "node:stream";

import { WindowKeeper } from "#api/grpc/window-keeper.ts";
import type { RawConnection } from "#api/http/exchange.ts";

/** Ends and breaks together with `raw`; destroying it lets go of `raw`. */
export const duplexOf = (raw: RawConnection): Duplex => {
  const input = raw.input[Symbol.asyncIterator]();
  const windows = new WindowKeeper();
  let isReading = false;
  const duplex = new Duplex({
    read() {
      if (isReading) return;
      isReading = true;
      input.next().then(
        (next) => {
          isReading = false;
          this.push(next.done === true ? null : windows.feed(next.value));
        },
        (error: unknown) => this.destroy(error instanceof Error ? error : new Error(String(error))),
      );
    },
    write(chunk: Uint8Array, _encoding, done) {
      raw.write(chunk).then(
        () => done(),
        (error: unknown) => done(error instanceof Error ? error : new Error(String(error))),
      );
    },
    writev(chunks, done) {
      const parts = chunks.map(({ chunk }) => chunk as Uint8Array);
      raw
        .write(parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts))
        .then(
          () => done(),
          (error: unknown) => done(error instanceof Error ? error : new Error(String(error))),
        );
    },
    final(done) {
      raw.endOutput();
      done();
    },
    destroy(error, done) {
      raw.dropInput();
      raw.endOutput();
      done(error);
    },
  });
  // Bun 1.4.5's HTTP/2 writes from a buffer that it uses again at once: what has to wait must be a copy.
  const write = duplex.write.bind(duplex);
  duplex.write = ((chunk: Uint8Array, ...rest: []) =>
    write(new Uint8Array(chunk), ...rest)) as typeof duplex.write;
  // The HTTP/2 session above hears of errors too; without a listener here they would be thrown.
  duplex.on("error", () => undefined);
  raw.signal.addEventListener("abort", () => duplex.destroy(), { once: true });
  return duplex;
};
