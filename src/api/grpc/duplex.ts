/** A connection that left HTTP/1.1, in the form that node:http2 takes. */
import { Duplex } from "node:stream";

import type { RawConnection } from "#api/http/exchange.ts";

/** Ends and breaks together with `raw`; destroying it lets go of `raw`. */
export const duplexOf = (raw: RawConnection): Duplex => {
  const input = raw.input[Symbol.asyncIterator]();
  let isReading = false;
  const duplex = new Duplex({
    read() {
      if (isReading) return;
      isReading = true;
      input.next().then(
        (next) => {
          isReading = false;
          this.push(next.done === true ? null : next.value);
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
  // The HTTP/2 session above hears of errors too; without a listener here they would be thrown.
  duplex.on("error", () => undefined);
  raw.signal.addEventListener("abort", () => duplex.destroy(), { once: true });
  return duplex;
};
